#!/bin/sh
# Runs the program of an action: run.sh NAME. Installs the host programs that it
# needs. The action's programs come from the directory in NOSA_ACTIONS_BIN, or
# are built from this source with the runner's Go.
set -eu

name=$1
root=$(cd -- "$(dirname -- "$0")/.." && pwd)

echo "::group::Prepare nosa-actions"
programs=./cmd/nosa # what stands beside the action's own program
case ${NOSA_INPUT_ASSEMBLER:-host}/$name in
*/release)
	needs='--with release'
	programs=
	;;
host/run-test) needs='--with build --with test' ;;
host/*) needs='--with build' ;;
*)
	needs='--with container'
	programs=./cmd/nosa-init
	[ "${NOSA_INPUT_ENGINE:-}" = podman ] || programs="$programs ./cmd/nosa-container"
	;;
esac
if command -v dpkg-query >/dev/null; then
	# shellcheck disable=SC2086 # a list of words
	"$root/tools/install-host-deps.sh" $needs
fi
if [ -z "${NOSA_ACTIONS_BIN:-}" ]; then
	if ! command -v go >/dev/null; then
		echo "::error::Go is not installed on this runner; add a step with actions/setup-go before this action"
		exit 1
	fi
	# One directory for all actions of a job, so that nosa is built once.
	NOSA_ACTIONS_BIN=${RUNNER_TEMP:?is not set; this is a step of a GitHub action}/nosa-bin
	mkdir -p "$NOSA_ACTIONS_BIN"
	# shellcheck disable=SC2086 # a list of words
	(cd "$root" && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -tags containers_image_openpgp -o "$NOSA_ACTIONS_BIN/" "./actions/$name" $programs)
fi
echo "::endgroup::"
exec "$NOSA_ACTIONS_BIN/$name"
