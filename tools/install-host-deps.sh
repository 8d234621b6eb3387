#!/bin/sh
# Installs the host programs that nosa and its tests use, on Debian and Ubuntu.
#
#   install-host-deps.sh [--with GROUP]...
#
# Groups: build (fetch, build, images), test (boot and test images), container
# (run stages in a container instead), dev (judges of our own tests), lint, image
# (make the assembler image), browser (look at the download page), npm (fetch what
# comes as an npm package), release (compress images), export (give the commit to
# registries and web servers). Without --with: build, test,
# container and dev. Does nothing, quickly and without root, when all is there.
set -eu

build='btrfs-progs bubblewrap ca-certificates cpio createrepo-c dnf dosfstools e2fsprogs
fdisk gdisk git gnupg grub-common grub-efi-amd64-bin grub-pc-bin isolinux jq mtools
ostree qemu-utils rpm squashfs-tools syslinux-common xfsprogs xorriso xz-utils zstd'
test='openssh-client ovmf qemu-system-x86'
container='git'
dev='busybox-static curl file genisoimage podman procps skopeo swtpm udev'
image='mmdebstrap'
browser='chromium-headless-shell fonts-dejavu-core'
lint='shellcheck'
release='xz-utils'
export='ca-certificates ostree'
npm='nodejs npm'

# Other packages bring a runtime too, and Debian's would remove them.
command -v runc >/dev/null || command -v crun >/dev/null || container="$container runc"

case $(uname -m) in
aarch64)
	build=$(printf %s "$build" | sed 's/grub-efi-amd64-bin grub-pc-bin isolinux/grub-efi-arm64-bin/; s/syslinux-common //')
	test='ipxe-qemu openssh-client qemu-efi-aarch64 qemu-system-arm'
	;;
esac

groups=
while [ $# -gt 0 ]; do
	case $1 in
	--with)
		groups="$groups ${2:?--with needs a group: build, test, container, dev, lint, image, browser, npm, release or export}"
		shift 2
		;;
	*)
		echo "usage: $0 [--with build|test|container|dev|lint|image|browser|npm|release|export]..." >&2
		exit 2
		;;
	esac
done

packages=
for group in ${groups:-build test container dev}; do
	case $group in
	build) packages="$packages $build" ;;
	test) packages="$packages $test" ;;
	dev) packages="$packages $dev" ;;
	browser) packages="$packages $browser" ;;
	lint) packages="$packages $lint" ;;
	release) packages="$packages $release" ;;
	export) packages="$packages $export" ;;
	npm) command -v npm >/dev/null || packages="$packages $npm" ;;
	container) packages="$packages $container" ;;
	image) packages="$packages $image $container" ;;
	*)
		echo "$0: unknown group $group" >&2
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

# apt runs apt-get with a limit of seconds, up to so many times. A mirror that answers
# nothing is given up. sudo hands no variables on.
apt() {
	limit=$1 tries=$2
	shift 2
	while :; do
		status=0
		$sudo env DEBIAN_FRONTEND=noninteractive timeout --kill-after=30 "$limit" apt-get -qq \
			-o Acquire::Retries=3 -o Acquire::http::Timeout=60 -o Acquire::https::Timeout=60 \
			-o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >/dev/null || status=$?
		[ "$status" -ne 0 ] || return 0
		why="ended with status $status"
		[ "$status" -ne 124 ] || why="was not done after $limit seconds"
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || break
		echo "$0: apt-get $1 $why; once more" >&2
	done
	echo "$0: apt-get $1 $why; look at the mirrors in /etc/apt, or take a machine that has:$missing" >&2
	exit 1
}

echo "installing:$missing"
# NOSA_APT_TIMEOUT is the seconds that one try of what needs the network may take. What is
# then there is installed in one go: dpkg must not be broken off. A machine that has just
# started may be busy with updates of its own; that is waited for.
apt "${NOSA_APT_TIMEOUT:-600}" 3 update
# shellcheck disable=SC2086 # a list of words
apt "${NOSA_APT_TIMEOUT:-600}" 3 install -y --no-install-recommends --download-only $missing
# shellcheck disable=SC2086 # a list of words
apt 1800 1 install -y --no-install-recommends $missing
