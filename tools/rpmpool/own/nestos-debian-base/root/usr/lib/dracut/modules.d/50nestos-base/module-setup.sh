#!/bin/bash
# shellcheck disable=SC2154 # dracut sets initdir, moddir and the like
# What Debian's dracut modules for OSTree and Ignition leave to the distribution:
# the root file system by its label, drivers of virtual machines, a writable /var
# for the first boot, and Ignition on a system without SELinux.

check() {
    return 255
}

depends() {
    echo systemd ignition ostree
}

installkernel() {
    hostonly='' instmods \
        virtio_blk virtio_pci virtio_scsi virtio_net virtio_console virtio_rng \
        qemu_fw_cfg nvme ahci sd_mod sr_mod \
        ext4 xfs vfat isofs squashfs overlay loop nls_ascii nls_cp437 nls_utf8
}

install() {
    inst_multiple chmod mkdir mount rm rmdir systemd-tmpfiles umount
    inst_multiple -o lsblk

    inst_multiple blkid
    inst_script /usr/lib/udev/nestos-disk-contains-fs
    inst_rules 90-nestos-boot-disk.rules

    inst_script "$moddir/root-generator" /usr/lib/systemd/system-generators/nestos-root-generator

    inst_script "$moddir/mount-var" /usr/sbin/nestos-mount-var
    mkdir -p "$initdir/$systemdsystemunitdir/ignition-diskful.target.requires"
    local unit
    for unit in nestos-mount-var.service nestos-populate-var.service; do
        inst_simple "$moddir/$unit" "$systemdsystemunitdir/$unit"
        ln_r "$systemdsystemunitdir/$unit" "$systemdsystemunitdir/ignition-diskful.target.requires/$unit"
    done

    # The network only if the kernel command line or Ignition's config needs it;
    # the socket would start it as soon as a card appears.
    inst_simple /usr/lib/systemd/network/80-ethernet.network
    inst_simple "$moddir/network-on-demand.conf" "$systemdsystemunitdir/systemd-networkd.service.d/on-demand.conf"
    mkdir -p "$initdir/$systemdsystemunitdir/initrd.target.wants"
    ln_r "$systemdsystemunitdir/systemd-networkd.service" "$systemdsystemunitdir/initrd.target.wants/systemd-networkd.service"
    ln -sf /dev/null "$initdir/etc/systemd/system/systemd-networkd.socket"

    # Ignition relabels what it makes. Where the tree has no policy, it gets an
    # empty one for that moment.
    if [[ ! -e ${dracutsysrootdir-}/etc/selinux/config && ! -e ${dracutsysrootdir-}/usr/etc/selinux/config ]]; then
        inst_script "$moddir/setfiles" /usr/sbin/setfiles
        inst_script "$moddir/no-selinux" /usr/sbin/nestos-no-selinux
        for unit in ignition-mount.service ignition-files.service; do
            inst_simple "$moddir/no-selinux.conf" "$systemdsystemunitdir/$unit.d/no-selinux.conf"
        done
    fi
}
