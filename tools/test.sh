#!/bin/sh
# Runs the tests as they are meant to be run: nothing skipped for want of a tool
# or of root. The real compose and boot are in test/pipeline.
set -eu
cd "$(dirname "$0")/.."

NOSA_TEST_ALL=1
NOSA_POOL=$(pwd)/${POOL:-.cache/pool}
export NOSA_TEST_ALL NOSA_POOL

# A real kernel for the tests that watch one panic.
kernel=.cache/vmlinuz
if [ ! -s "$kernel" ]; then
	rpm2cpio "$NOSA_POOL"/linux-image-[0-9]*.rpm | cpio --quiet --extract --to-stdout '*boot/vmlinuz-*' >"$kernel.half"
	test -s "$kernel.half"
	mv "$kernel.half" "$kernel"
fi
NOSA_TEST_KERNEL=$(pwd)/$kernel
export NOSA_TEST_KERNEL

# What GitHub says its API is: .cache/github, found there by the tests.
tools/github-api.sh

go=$(command -v go)
# The longest first: it waits for guests while the others work.
[ $# -gt 0 ] || set -- -timeout 20m ./test/pipeline ./...
# Anew each time: some tests build nosa themselves, unseen by the cache of results.
set -- "$go" test -count=1 "$@"
if [ "$(id -u)" -ne 0 ]; then
	# The caches stay the user's: a root-owned file there would break later runs.
	set -- sudo -n --preserve-env=NOSA_TEST_ALL,NOSA_TEST_BOOT,NOSA_TEST_KERNEL,NOSA_POOL,GOPROXY,GOFLAGS \
		env "PATH=$PATH" "GOCACHE=$("$go" env GOCACHE)-root" "GOMODCACHE=$("$go" env GOMODCACHE)" "$@"
fi
exec "$@"
