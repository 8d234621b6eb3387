#!/bin/sh
# Writes the .repo file of the example's offline package source to a directory:
#
#   pool-repo.sh [--only-name] DIRECTORY
#
# The packages are those in the directory NOSA_POOL, or are made in .cache/pool
# unless only the name is asked for, as by jobs that take fetched packages.
set -eu

make=yes
if [ "${1:-}" = --only-name ]; then
	make=no
	shift
fi
repos=${1:?usage: pool-repo.sh [--only-name] DIRECTORY}
root=$(cd -- "$(dirname -- "$0")/.." && pwd)
pool=${NOSA_POOL:-$root/.cache/pool}

if [ "$make" = yes ] && [ -z "${NOSA_POOL:-}" ]; then
	make -C "$root" --no-print-directory pool "POOL=$pool"
fi
mkdir -p "$repos"
cat >"$repos/pool.repo" <<EOF
[pool]
name=Offline packages made from Debian packages
baseurl=file://$pool
enabled=1
gpgcheck=0
EOF
