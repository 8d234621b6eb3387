#!/bin/sh
# Prints a digest of everything that the programs of the suite are built from.
set -eu
export LC_ALL=C
cd -- "$(dirname -- "$0")/.."
find actions cmd internal go.mod go.sum -type f \
	! -path '*/testdata/*' ! -name '*_test.go' ! -name action.yml ! -path actions/binaries ! -path 'actions/*.sh' -print0 |
	sort -z | xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1
