#!/bin/sh
# Runs the workflows of this repository in a real workflow runner.
set -eu
cd -- "$(dirname -- "$0")/../.."
NOSA_E2E=1 exec go test -count=1 -timeout 60m -v ./test/e2e
