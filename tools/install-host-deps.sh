#!/bin/sh
# Installs the host programs that nosa and its tests use, on Debian and Ubuntu.
#
#   install-host-deps.sh [--with GROUP]...
#
# Groups: build (fetch, build, images; always), test (boot and test images), dev
# (judges of our own tests), lint. Without --with: build, test and dev. Does
# nothing, quickly and without root, when all is there.
set -eu

build='bubblewrap ca-certificates cpio createrepo-c dnf dosfstools e2fsprogs
fdisk gdisk git grub-common grub-efi-amd64-bin grub-pc-bin jq mtools ostree
qemu-utils rpm xfsprogs xz-utils zstd'
test='openssh-client ovmf qemu-system-x86'
dev='busybox-static procps skopeo'
lint='shellcheck'

case $(uname -m) in
aarch64)
	build=$(printf %s "$build" | sed 's/grub-efi-amd64-bin grub-pc-bin/grub-efi-arm64-bin/')
	test='ipxe-qemu openssh-client qemu-efi-aarch64 qemu-system-arm'
	;;
esac

groups=
while [ $# -gt 0 ]; do
	case $1 in
	--with)
		groups="$groups ${2:?--with needs a group: build, test, dev or lint}"
		shift 2
		;;
	*)
		echo "usage: $0 [--with build|test|dev|lint]..." >&2
		exit 2
		;;
	esac
done

packages=$build
for group in ${groups:-build test dev}; do
	case $group in
	build) ;;
	test) packages="$packages $test" ;;
	dev) packages="$packages $dev" ;;
	lint) packages="$packages $lint" ;;
	*)
		echo "$0: unknown group $group: build, test, dev or lint" >&2
		exit 2
		;;
	esac
done

if ! command -v dpkg-query >/dev/null; then
	echo "$0: this machine has no dpkg; install the programs that nosa names when it misses them" >&2
	exit 1
fi

# shellcheck disable=SC2086 # a list of words
installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $packages 2>/dev/null || true)
missing=
for package in $packages; do
	case "
$installed
" in
	*"
$package installed
"*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
	if ! sudo -n true 2>/dev/null; then
		echo "$0: needs root to install:$missing" >&2
		exit 1
	fi
	sudo='sudo -n'
fi

echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# shellcheck disable=SC2086 # lists of words
$sudo apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 $missing >/dev/null
