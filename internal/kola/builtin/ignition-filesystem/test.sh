#!/bin/bash
## kola:
##   exclusive: false
##   additionalDisks: ["1G:serial=nosa-data"]
##   description: Ignition makes a file system on an additional disk, and it is mounted at each boot
set -euo pipefail

disk=$(readlink -f /dev/disk/by-id/virtio-nosa-data)
source=$(findmnt -no SOURCE /var/nosa-data)
[ "$source" = "$disk" ] || { echo "/var/nosa-data is on ${source:-nothing}, not on $disk"; exit 1; }
[ "$(findmnt -no FSTYPE /var/nosa-data)" = ext4 ] || { echo "/var/nosa-data is not ext4"; exit 1; }
[ "$(lsblk -no LABEL "$disk")" = nosa-data ] || { echo "the file system has the label $(lsblk -no LABEL "$disk")"; exit 1; }
[ "$(cat /var/nosa-data/by-ignition)" = "written by Ignition" ] || { echo "what Ignition wrote to the file system is not there"; exit 1; }
touch /var/nosa-data/written
echo "ok: $disk is mounted at /var/nosa-data"
