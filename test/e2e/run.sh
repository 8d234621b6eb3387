#!/bin/sh
# Runs the workflows of this repository in a real workflow runner.
set -eu
cd -- "$(dirname -- "$0")/../.."
tools/install-host-deps.sh --with npm # the stand-ins for actions are JavaScript
tools/github-api.sh                   # and GitHub is held against its description
NOSA_E2E=1 exec go test ${NOSA_E2E_RUN:+-run "$NOSA_E2E_RUN"} -count=1 -timeout 90m -v ./test/e2e
