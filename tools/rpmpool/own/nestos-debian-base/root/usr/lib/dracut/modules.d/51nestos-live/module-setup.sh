#!/bin/bash
# shellcheck disable=SC2154 # dracut sets initdir, moddir and the like
# Boots the live system: from an ISO, or from what PXE brought. All of it sleeps
# unless the initramfs is that of a live system (/etc/nestos-live-initramfs).

check() {
    return 255
}

depends() {
    echo nestos-base
}

installkernel() {
    hostonly='' instmods isofs loop overlay squashfs sr_mod cdrom usb_storage uas
}

install() {
    inst_multiple cat cp cpio curl dd ln losetup mkdir mktemp mount mv rm sha256sum sleep stat systemd-escape tr umount
    inst_script "$moddir/is-live-image" /usr/sbin/is-live-image
    inst_script "$moddir/generator" /usr/lib/systemd/system-generators/nestos-live-generator
    inst_script "$moddir/find-root" /usr/sbin/nestos-live-root
    inst_script "$moddir/verify-stream" /usr/sbin/nestos-verify-stream
    inst_script "$moddir/prepare-root" /usr/sbin/nestos-live-prepare-root
    inst_script "$moddir/writable" /usr/sbin/nestos-live-writable
    for unit in nestos-live-root.service nestos-live-writable.service; do
        inst_simple "$moddir/$unit" "$systemdsystemunitdir/$unit"
    done
}
