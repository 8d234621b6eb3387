#!/bin/sh
# Runs the program of an action: run.sh NAME. Installs the host programs that it
# needs. The action's programs come from the directory in NOSA_ACTIONS_BIN, or by
# provide.sh from a release or this source.
set -eu

name=$1
root=$(cd -- "$(dirname -- "$0")/.." && pwd)

echo "::group::Prepare nosa-actions"
programs=nosa # what stands beside the action's own program
case ${NOSA_INPUT_ASSEMBLER:-host}/$name in
*/plan | */base | */matrix | */report | */comment | */propose)
	needs=
	programs=
	;;
*/release)
	needs='--with release'
	programs=
	if [ "${NOSA_INPUT_EXPORT_REPO:-}" = true ]; then # a stage of nosa
		needs="$needs --with export"
		programs=nosa
	fi
	;;
*/push-container) needs='--with export' ;;
host/run-test) needs='--with build --with test' ;;
host/*) needs='--with build' ;;
*)
	needs='--with container'
	programs=nosa-init
	[ "${NOSA_INPUT_ENGINE:-}" = podman ] || programs="$programs nosa-container"
	;;
esac
if [ -n "$needs" ] && command -v dpkg-query >/dev/null; then
	# shellcheck disable=SC2086 # a list of words
	if ! "$root/tools/install-host-deps.sh" $needs; then
		echo "::error::The host programs that this action needs could not be installed; the log says why."
		exit 1
	fi
fi
if [ -z "${NOSA_ACTIONS_BIN:-}" ]; then
	# One directory for all actions of a job, so that nosa is had once; of its own
	# for other sources, since a job may use actions of two versions.
	NOSA_ACTIONS_BIN=${RUNNER_TEMP:?is not set; this is a step of a GitHub action}/nosa-bin/$("$root/tools/source-digest.sh")
	# shellcheck disable=SC2086 # a list of words
	"$root/actions/provide.sh" "$NOSA_ACTIONS_BIN" "$name" $programs
fi
echo "::endgroup::"
exec "$NOSA_ACTIONS_BIN/$name"
