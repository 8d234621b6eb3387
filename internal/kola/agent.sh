# shellcheck shell=bash
# Runs in the guest, as root: starts the test's unit and waits until it ends or
# asks for a reboot, then says so in one line of JSON. The test asks through the
# FIFO /run/kolet-reboot and waits for leave at /run/kolet-reboot-ack. Where
# tests share the guest none may reboot it: there is no FIFO then.
set -euo pipefail

unit=${KOLA_UNIT:-kola-runext.service}

cat > /tmp/autopkgtest-reboot-prepare <<'PREPARE'
#!/bin/bash
# Asks for a reboot; the caller then reboots by itself.
set -euo pipefail
if [ $# -ne 1 ] || [ -z "$1" ]; then
  echo "usage: $0 MARK" >&2
  exit 2
fi
if [ ! -p /run/kolet-reboot ]; then
  echo "$0: this test shares its guest and may not reboot it; say exclusive: true" >&2
  exit 1
fi
mkfifo -m 0600 /run/kolet-reboot-ack
printf '%s\n' "$1" > /run/kolet-reboot
read -r _ < /run/kolet-reboot-ack
PREPARE
cat > /tmp/autopkgtest-reboot <<'REBOOT'
#!/bin/bash
set -euo pipefail
/tmp/autopkgtest-reboot-prepare "$@"
exec reboot
REBOOT
chmod 0755 /tmp/autopkgtest-reboot /tmp/autopkgtest-reboot-prepare

rm -f /run/kolet-reboot /run/kolet-reboot-ack
if [ -z "${KOLA_SHARED-}" ]; then
  mkfifo -m 0600 /run/kolet-reboot
  exec 3<> /run/kolet-reboot # both ways, so that opening does not wait
fi

# Takes a reboot request that comes within a second.
request() {
  if [ -n "${KOLA_SHARED-}" ]; then
    sleep 1
    return 1
  fi
  read -r -t 1 -u 3 mark
}

# A unit that fails at once fails its start too; its state tells.
systemctl start --no-block "$unit"

property() { systemctl show --value --property="$1" "$unit"; }

quoted() {
  local s=${1//\\/\\\\}
  s=${s//\"/\\\"}
  printf '"%s"' "$s"
}

while :; do
  if request; then
    printf '{"Reboot":%s}\n' "$(quoted "$mark")"
    exit 0
  fi
  # The job first: while it is queued, the unit looks like one that never ran.
  job=$(property Job)
  state=$(property ActiveState)
  sub=$(property SubState)
  case $state/$sub in
    active/exited | failed/* | inactive/*)
      [ -z "$job" ] || [ "$job" = 0 ] || continue
      printf '{"Result":{"ActiveState":%s,"SubState":%s,"Result":%s,"Code":%s,"Status":%s}}\n' \
        "$(quoted "$state")" "$(quoted "$sub")" "$(quoted "$(property Result)")" \
        "$(quoted "$(property ExecMainCode)")" "$(quoted "$(property ExecMainStatus)")"
      exit 0
      ;;
  esac
done
