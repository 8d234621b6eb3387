#!/bin/bash
## kola:
##   exclusive: false
##   timeoutMin: 5
##   description: nothing in /usr and /etc is open to everybody, without an owner or without a label
set -euo pipefail

status=0
# complain WHAT: tells of the files on standard input, if any.
complain() {
  local found
  found=$(head -n 20)
  [ -z "$found" ] || { printf '%s:\n%s\n' "$1" "$found"; status=1; }
}

find /usr /etc -xdev ! -type l -perm -0002 ! '(' -type d -perm -1000 ')' | complain "everybody may write to"
find /usr /etc -xdev -type f -perm /6000 -perm /0022 | complain "others may write to what runs as its owner"
find /usr /etc -xdev '(' -nouser -o -nogroup ')' | complain "no user or group of the system owns"
if [ -e /sys/fs/selinux/enforce ]; then
  find /usr /etc -xdev -context '*:unlabeled_t:*' | complain "no SELinux label on"
fi
[ "$status" = 0 ] && echo "ok: modes, owners and labels"
exit "$status"
