#!/bin/sh
# Runs the workflows of this repository in a real workflow runner.
set -eu
cd -- "$(dirname -- "$0")/../.."
if ! command -v npm >/dev/null; then # the stand-ins of artifact actions are JavaScript
	sudo=
	[ "$(id -u)" -eq 0 ] || sudo='sudo -n'
	$sudo apt-get update -qq
	$sudo apt-get install -y -qq --no-install-recommends nodejs npm
fi
NOSA_E2E=1 exec go test ${NOSA_E2E_RUN:+-run "$NOSA_E2E_RUN"} -count=1 -timeout 90m -v ./test/e2e
