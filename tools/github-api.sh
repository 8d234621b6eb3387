#!/bin/sh
# Fetches GitHub's description of its REST API, which internal/release/publish/
# githubtest holds requests and answers against. It is kept in .cache; without a
# network what is there is used.
set -eu
cd "$(dirname "$0")/.."

package=@octokit/openapi
version=23.0.2
integrity=pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRBXGDhg==
file=.cache/github/api.github.com.json

if [ -s "$file" ] && [ "$(cat "$file.version" 2>/dev/null)" = "$version" ]; then
	exit 0
fi
tools/install-host-deps.sh --with npm
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
echo "fetching $package $version"
(cd "$dir" && npm pack --silent "$package@$version" >/dev/null)
sum=$(cat "$dir"/*.tgz | sha512sum | cut -d' ' -f1)
want=$(printf %s "$integrity" | base64 -d | od -An -v -tx1 | tr -d ' \n')
if [ "$sum" != "$want" ]; then
	echo "$0: $package $version is not the package that was pinned: its SHA-512 is $sum" >&2
	exit 1
fi
mkdir -p "${file%/*}"
tar -xzf "$dir"/*.tgz -C "$dir" package/generated/api.github.com.json
mv "$dir/package/generated/api.github.com.json" "$file"
echo "$version" >"$file.version"
