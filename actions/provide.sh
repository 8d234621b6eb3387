#!/bin/sh
# Puts programs of the suite into a directory: provide.sh DIR NAME...
#
# The tree of a release has the file actions/binaries, which tools/suitebinaries
# makes: the address of the release, the digest of the source that its programs were
# built from, and their checksums. Programs are downloaded if the source here is that
# source, and built with the runner's Go if it is not, if there is no such file, or
# if the download fails. What was downloaded and has another checksum is an error:
# somebody has changed it.
#
# NOSA_ACTIONS_URL names a mirror of the release's assets, NOSA_ACTIONS_TIMEOUT the
# seconds that one may take, NOSA_ACTIONS_BUILD_TIMEOUT those of the compiler.
set -eu

dir=$1
shift
root=$(cd -- "$(dirname -- "$0")/.." && pwd)
list=$root/actions/binaries
mkdir -p "$dir"

field() { sed -n "s/^$1 //p" "$list"; }

architecture() {
	case $(uname -m) in
	x86_64 | amd64) echo amd64 ;;
	aarch64 | arm64) echo arm64 ;;
	*) uname -m ;;
	esac
}

# released tells whether there are programs for this source and machine.
released() {
	[ -f "$list" ] || return 1
	if [ "$(field source)" != "$("$root/tools/source-digest.sh")" ]; then
		echo "The source is not that of release $(field tag)."
		return 1
	fi
	if ! grep -q -- "-linux-$(architecture)\.gz\$" "$list"; then
		echo "Release $(field tag) has no programs for $(architecture)."
		return 1
	fi
}

# download gets one program; it fails if the program cannot be had, and ends all if
# it is not the right one.
download() {
	asset=$1-linux-$(architecture).gz
	url=${NOSA_ACTIONS_URL:-$(field url)}/$asset
	sum=$(sed -n "s/^\([0-9a-f]\{64\}\)  $asset\$/\1/p" "$list")
	[ -n "$sum" ] || return 1
	# A mirror may be one on the same machine; what comes is checked.
	case $url in http://*) schemes='=http,https' ;; *) schemes='=https' ;; esac
	limit=${NOSA_ACTIONS_TIMEOUT:-300}
	if ! why=$(curl --fail --silent --show-error --location --proto "$schemes" --proto-redir "$schemes" \
		--connect-timeout 20 --max-time "$limit" --retry 2 --retry-max-time "$limit" --max-filesize 500000000 \
		--output "$dir/$asset.half" "$url" 2>&1); then
		rm -f "$dir/$asset.half"
		echo "::notice::The programs of release $(field tag) cannot be downloaded, so they are built from source. $asset: $(echo "$why" | tr '\n' ' ')"
		return 1
	fi
	if ! echo "$sum  $dir/$asset.half" | sha256sum --check --status; then
		rm -f "$dir/$asset.half"
		echo "::error::$url does not have the checksum that actions/binaries says, $sum; it was changed after the release, or on its way. Nothing of it was run."
		exit 1
	fi
	# The shell does not end by itself here: whoever calls asks how this went.
	if ! { gzip --decompress --stdout "$dir/$asset.half" >"$dir/$1.half" && chmod 0755 "$dir/$1.half" && mv "$dir/$1.half" "$dir/$1"; }; then
		rm -f "$dir/$asset.half" "$dir/$1.half"
		echo "::error::$asset was downloaded and cannot be unpacked into $dir; is the disk full?"
		exit 1
	fi
	rm "$dir/$asset.half"
	echo "$1 of release $(field tag)"
}

build() {
	if ! command -v go >/dev/null; then
		echo "::error::Go is not installed on this runner, and these actions have no programs of a release that fit; use a released version, or add a step with actions/setup-go before this action"
		exit 1
	fi
	packages=
	for name; do
		if [ -d "$root/actions/$name" ]; then packages="$packages ./actions/$name"; else packages="$packages ./cmd/$name"; fi
	done
	# As tools/suitebinaries builds them.
	status=0
	# shellcheck disable=SC2086 # a list of words
	(cd "$root" && CGO_ENABLED=0 timeout --kill-after=30 "${NOSA_ACTIONS_BUILD_TIMEOUT:-1800}" go build -trimpath -buildvcs=false -ldflags='-s -w' -tags containers_image_openpgp -o "$dir/" $packages) || status=$?
	[ "$status" -ne 124 ] || echo "::error::Go was not done with building these actions after ${NOSA_ACTIONS_BUILD_TIMEOUT:-1800} seconds; use a released version, or look at the module proxy (GOPROXY)"
	return "$status"
}

released=
! released || released=yes
missing=
for name; do
	[ ! -x "$dir/$name" ] || continue
	[ -n "$released" ] && download "$name" && continue
	released=
	missing="$missing $name"
done
# shellcheck disable=SC2086 # a list of words
[ -z "$missing" ] || build $missing
