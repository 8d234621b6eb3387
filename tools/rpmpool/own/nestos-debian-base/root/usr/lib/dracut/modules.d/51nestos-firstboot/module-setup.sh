#!/bin/bash
# shellcheck disable=SC2154 # dracut sets initdir, moddir and the like
# The first boot of a disk image: the disk and its file systems get identities of
# their own, Ignition the config that an installer left, and the boot entry the
# root file system's identity.

check() {
    return 255
}

depends() {
    echo nestos-base ignition
}

installkernel() {
    hostonly='' instmods btrfs
}

install() {
    inst_multiple basename blkid cat cp e2fsck ln lsblk mkdir mount rm sed sgdisk tune2fs udevadm umount
    inst_multiple -o btrfstune sfdisk xfs_admin xfs_db xfs_io
    inst_script "$moddir/user-config" /usr/sbin/nestos-user-config
    inst_script "$moddir/new-identity" /usr/sbin/nestos-new-identity
    inst_script "$moddir/edit-boot" /usr/sbin/nestos-edit-boot
    for name in user-config new-identity edit-boot; do
        unit=nestos-$name.service
        target=ignition-diskful.target
        # A live system may bring a config, too.
        [ "$name" != user-config ] || target=ignition-complete.target
        inst_simple "$moddir/$unit" "$systemdsystemunitdir/$unit"
        mkdir -p "$initdir/$systemdsystemunitdir/$target.requires"
        ln_r "$systemdsystemunitdir/$unit" "$systemdsystemunitdir/$target.requires/$unit"
    done
}
