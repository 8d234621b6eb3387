#!/bin/sh
# Runs the program of an action: run.sh NAME. Installs the host programs that it
# needs. The action's programs come from the directory in NOSA_ACTIONS_BIN, or
# are built from this source with the runner's Go.
set -eu

name=$1
root=$(cd -- "$(dirname -- "$0")/.." && pwd)

echo "::group::Prepare nosa-actions"
if command -v dpkg-query >/dev/null; then
	case $name in
	run-test) "$root/tools/install-host-deps.sh" --with build --with test ;;
	*) "$root/tools/install-host-deps.sh" --with build ;;
	esac
fi
if [ -z "${NOSA_ACTIONS_BIN:-}" ]; then
	if ! command -v go >/dev/null; then
		echo "::error::Go is not installed on this runner; add a step with actions/setup-go before this action"
		exit 1
	fi
	# One directory for all actions of a job, so that nosa is built once.
	NOSA_ACTIONS_BIN=${RUNNER_TEMP:?is not set; this is a step of a GitHub action}/nosa-bin
	mkdir -p "$NOSA_ACTIONS_BIN"
	(cd "$root" && CGO_ENABLED=0 go build -trimpath -o "$NOSA_ACTIONS_BIN/" "./actions/$name" ./cmd/nosa)
fi
echo "::endgroup::"
exec "$NOSA_ACTIONS_BIN/$name"
