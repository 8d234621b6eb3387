#!/bin/sh
# Writes the metal image on board to the disk that the kernel command line names,
# and leaves it an Ignition config for its first boot.
#
#   nestos.inst.install_dev=/dev/vda   the disk; all that is on it is lost
#   nestos.inst.ignition_url=URL       config, by http(s), or file:// of this system
#   nestos.inst.platform_id=ID         another ignition.platform.id than metal
#   nestos.inst.skip_reboot            stay here when done
#
# The disk becomes bootable last: until its content was verified it has no
# partition table, so a machine never starts what was written in part.
set -eu
say() { echo "nestos-install: $*"; }
die() {
    say "$*" >&2
    exit 1
}

# payload writes out a file of those that came with the live system: they lie in
# a directory, or are members of the rootfs.img that the root itself is in. What is
# not on board is empty.
payload() {
    if [ -e "$on_board/$1" ]; then
        cat "$on_board/$1"
        return
    fi
    for image in "$on_board/rootfs.img" /run/media/iso/images/pxeboot/rootfs.img; do
        if [ -e "$image" ]; then
            cpio --quiet -i --to-stdout "nestos-installer/$1" <"$image"
            return
        fi
    done
}

on_board=${NESTOS_ON_BOARD:-/run/nestos-installer}
objects=${NESTOS_OBJECTS:-/sysroot/ostree/repo/objects}
device='' ignition='' platform='' reboot=1
read -r cmdline <"${NESTOS_CMDLINE:-/proc/cmdline}"
for arg in $cmdline; do
    case $arg in
        nestos.inst.install_dev=*) device=${arg#*=} ;;
        nestos.inst.ignition_url=*) ignition=${arg#*=} ;;
        nestos.inst.platform_id=*) platform=${arg#*=} ;;
        nestos.inst.skip_reboot) reboot='' ;;
    esac
done
case $device in
    '') die 'nestos.inst.install_dev= names no disk' ;;
    /*) ;;
    *) device=/dev/$device ;;
esac
case $platform in
    *[!A-Za-z0-9_-]*) die "nestos.inst.platform_id=$platform is not the name of a platform" ;;
esac
[ -b "$device" ] || die "$device is not a disk"
work=$(mktemp -d)
trap 'umount "$work/boot" 2>/dev/null || true; rm -rf "$work"' EXIT

if [ -n "$ignition" ]; then
    say "fetching $ignition"
    case $ignition in
        http://* | https://*)
            curl --fail --silent --show-error --location --retry 5 --retry-connrefused --output "$work/config.ign" "$ignition"
            ;;
        file://*) cp "${ignition#file://}" "$work/config.ign" ;;
        *) die "nestos.inst.ignition_url=$ignition is neither http(s):// nor file://" ;;
    esac
fi

sectors=$(blockdev --getss "$device")
case $sectors in
    512) kind=metal ;;
    4096) kind=metal4k ;;
    *) die "$device has sectors of $sectors bytes, for which there is no image" ;;
esac
payload "$kind.info" >"$work/info"
read -r want size _ build <"$work/info" || die "no $kind image is on board, which $device with sectors of $sectors bytes needs"
[ "$(blockdev --getsize64 "$device")" -ge "$size" ] || die "$device is smaller than the image of $size bytes"

# unpack writes out what is on board compressed.
unpack() { payload "$1" | zstd -dcq; }

# raw writes out a whole image. Where it is on board in pieces, a list names the
# files that make it, one after the other: objects of the repository (o/...), blocks
# of them (p0.000000...), blocks that came with the list (b0000000...) and 2^N zeros
# (zN).
raw() {
    payload "$1.list.zst" >"$work/list"
    if [ ! -s "$work/list" ]; then
        unpack "$1.raw.zst"
        return
    fi
    mkdir "$work/pieces"
    cd "$work/pieces"
    ln -s "$objects" o
    power=0
    while [ "$power" -le 30 ]; do
        truncate -s $((1 << power)) "z$power"
        power=$((power + 1))
    done
    unpack "$1.blocks.zst" | split -b 4096 -d -a 7 - b
    payload "$1.parts" >"$work/parts"
    part=0
    while read -r object; do
        split -b 4096 -d -a 6 "o/$object" "p$part."
        part=$((part + 1))
    done <"$work/parts"
    zstd -dcq <"$work/list" | xargs cat
    rm -r "$work/pieces"
}

say "writing $((size >> 20)) MiB of build $build to $device"
wipefs --all --quiet "$device"
# What is written goes by sha256sum, too.
mkfifo "$work/sum"
sha256sum <"$work/sum" >"$work/got" &
# The first MiB, which makes the disk one to boot from, waits here.
raw "$kind" | tee "$work/sum" | {
    dd of="$work/head" bs=64K count=16 iflag=fullblock status=none
    dd of="$device" bs=1M seek=1 iflag=fullblock conv=fsync status=none
}
wait
read -r got _ <"$work/got"
[ "$got" = "$want" ] || die "the image on board is damaged: sha256 $got instead of $want; $device holds nothing to boot"
dd if="$work/head" of="$device" bs=1M conv=fsync,notrunc status=none
udevadm settle
blockdev --rereadpt "$device"
udevadm settle

if [ -n "$ignition$platform" ]; then
    boot=$(lsblk --noheadings --raw --output PATH,PARTLABEL "$device" | sed -n 's/ boot$//p')
    mkdir "$work/boot"
    mount "$boot" "$work/boot"
    if [ -n "$ignition" ]; then
        mkdir -p "$work/boot/ignition"
        cp "$work/config.ign" "$work/boot/ignition/config.ign"
        chmod 0600 "$work/boot/ignition/config.ign"
    fi
    if [ -n "$platform" ]; then
        for file in "$work"/boot/loader/entries/*.conf "$work/boot/loader/syslinux.cfg"; do
            [ ! -f "$file" ] || sed -i "s/ignition\.platform\.id=[^ ]*/ignition.platform.id=$platform/" "$file"
        done
    fi
    umount "$work/boot"
fi
sync
say "done: $device boots build $build"
[ -z "$reboot" ] || systemctl --no-block reboot
