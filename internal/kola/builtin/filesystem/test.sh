#!/bin/bash
## kola:
##   exclusive: false
##   timeoutMin: 5
##   description: nothing in /usr and /etc is open to everybody, without an owner or without a label
set -euo pipefail

status=0
# forbid WHAT TEST...: tells of the files that find finds by the test, if any.
# awk reads on to the end, so that find's own failures are not lost.
forbid() {
  local what=$1 found
  shift
  found=$(find /usr /etc -xdev "$@" | awk 'NR <= 20')
  [ -z "$found" ] || { printf '%s:\n%s\n' "$what" "$found"; status=1; }
}

forbid "everybody may write to" ! -type l -perm -0002 ! '(' -type d -perm -1000 ')'
forbid "others may write to what runs as its owner" -type f -perm /6000 -perm /0022
forbid "no user or group of the system owns" '(' -nouser -o -nogroup ')'
if [ -e /sys/fs/selinux/enforce ]; then
  forbid "no SELinux label on" -context '*:unlabeled_t:*'
fi
[ "$status" = 0 ] && echo "ok: modes, owners and labels"
exit "$status"
