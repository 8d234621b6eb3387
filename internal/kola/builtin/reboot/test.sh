#!/bin/bash
## kola:
##   tags: reboot
##   timeoutMin: 15
##   description: the system comes back from a reboot as it was, without a second first boot
set -euo pipefail

fail() { echo "$*"; exit 1; }

case ${AUTOPKGTEST_REBOOT_MARK-} in
'')
  grep -q ignition.firstboot /proc/cmdline || fail "the first boot was not one: $(cat /proc/cmdline)"
  echo kept > /etc/nosa-reboot
  echo kept > /var/nosa-reboot
  mkdir /var/nosa-reboot.d
  cat /etc/machine-id > /var/nosa-reboot.d/machine-id
  cat /etc/ssh/ssh_host_*_key.pub > /var/nosa-reboot.d/host-keys
  cat /proc/sys/kernel/random/boot_id > /var/nosa-reboot.d/boot-id
  readlink -f "/sysroot$(tr ' ' '\n' < /proc/cmdline | sed -n 's/^ostree=//p')" > /var/nosa-reboot.d/deployment
  /tmp/autopkgtest-reboot once
  ;;
once)
  [ "$(cat /proc/sys/kernel/random/boot_id)" != "$(cat /var/nosa-reboot.d/boot-id)" ] || fail "it did not reboot"
  ! grep -q ignition.firstboot /proc/cmdline || fail "the second boot was a first boot again"
  [ "$(cat /etc/nosa-reboot)" = kept ] || fail "a file in /etc is gone"
  [ "$(cat /var/nosa-reboot)" = kept ] || fail "a file in /var is gone"
  [ "$(cat /etc/machine-id)" = "$(cat /var/nosa-reboot.d/machine-id)" ] || fail "the machine has another id"
  [ "$(cat /etc/ssh/ssh_host_*_key.pub)" = "$(cat /var/nosa-reboot.d/host-keys)" ] || fail "the machine has other host keys"
  deployment=$(readlink -f "/sysroot$(tr ' ' '\n' < /proc/cmdline | sed -n 's/^ostree=//p')")
  [ "$deployment" = "$(cat /var/nosa-reboot.d/deployment)" ] || fail "another deployment was booted: $deployment"
  state=$(systemctl is-system-running --wait || :)
  [ "$state" = running ] || { systemctl --failed --no-pager; fail "the system is $state"; }
  echo "ok: rebooted"
  ;;
*) fail "unexpected mark $AUTOPKGTEST_REBOOT_MARK" ;;
esac
