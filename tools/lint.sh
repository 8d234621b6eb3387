#!/bin/sh
# Reads the code without running it. The linters' versions are those of
# test/e2e/tools/go.mod, whose dependencies stay out of the product.
set -eu
cd "$(dirname "$0")/.."

tool() { go tool -modfile=test/e2e/tools/go.mod "$@"; }

unformatted=$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -s -l)
if [ -n "$unformatted" ]; then
	echo "not gofmt-ed (run gofmt -s -w):" >&2
	echo "$unformatted" >&2
	exit 1
fi
go vet ./...
CGO_ENABLED=0 go vet -tags containers_image_openpgp ./internal/assembler/... ./cmd/nosa-container
tool staticcheck ./...
CGO_ENABLED=0 tool staticcheck -tags containers_image_openpgp ./internal/assembler/... ./cmd/nosa-container

tools/install-host-deps.sh --with lint
git ls-files -co --exclude-standard '*.sh' .ci/run | xargs shellcheck --severity=warning
tool actionlint -color=false
echo "lint: clean"
