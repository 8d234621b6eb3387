#!/usr/bin/bash
## kola:
##   description: The message of the day names the build that was booted.
##   exclusive: false
##   platforms: qemu
set -xeuo pipefail

. /usr/lib/os-release
grep -qxF "build ${OSTREE_VERSION}" /run/motd.d/10-build

# The overlay's statoverride reached the image.
test "$(stat -c %a /usr/libexec/nestos-motd)" = 700
echo "ok motd"
