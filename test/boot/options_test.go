package boot_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
)

// attached looks in a guest for all that it was given.
const attached = `#!/bin/bash
## kola:
##   additionalDisks: ["1G:channel=nvme,serial=fast", "1G:4k,serial=large", "1G:mpath"]
##   additionalNics: 2
set -xeuo pipefail
fail() { echo "FAIL: $*"; exit 1; }
root=$(lsblk -no PKNAME "$(findmnt -no SOURCE --nofsroot /sysroot)")
[[ $root == nvme* ]] || fail "the root is on $root"
lsblk -dno NAME,SERIAL,PHY-SEC
lsblk -dno NAME,SERIAL | grep -q '^nvme.* fast$' || fail "no additional NVMe disk"
[ "$(lsblk -dno PHY-SEC,SERIAL | awk '$2 == "large" { print $1 }')" = 4096 ] || fail "no disk with sectors of 4096 bytes"
[ "$(lsblk -Sno SERIAL | grep -c '^disk3$')" = 2 ] || fail "no disk with two paths"
[ "$(ls -d /sys/class/net/*/device | wc -l)" = 3 ] || fail "there are other network cards"
[ -e /dev/tpm0 ] || grep -q MSFT0101 /sys/bus/acpi/devices/*/hid || fail "no TPM"
[ -d /sys/firmware/efi ] || fail "not started by UEFI"
[ "$(cat /var/mnt/shared/word)" = "of the host" ] || fail "the directory of the host is not there"
! touch /var/mnt/shared/new || fail "the directory of the host can be written to"
journalctl -b -u systemd-logind -o cat --no-pager | head
`

// A guest with as much attached to it as goes at once.
func TestOptionsOfAGuest(t *testing.T) {
	w := newWorld(t)
	testkit.NeedTool(t, "swtpm", "qemu-nbd")
	root := t.TempDir()
	test, shared := filepath.Join(root, "tests/kola/attached"), filepath.Join(root, "shared")
	require.NoError(t, os.MkdirAll(test, 0o755))
	require.NoError(t, os.Mkdir(shared, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(test, "test.sh"), []byte(attached), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(shared, "word"), []byte("of the host\n"), 0o644))
	w.kola(t, filepath.Join(root, "out"), "run", "--build", w.build.ID, "--exttest", root,
		"--qemu-firmware", "uefi", "--qemu-nvme", "--qemu-nbd-socket", "--qemu-drive-opts", "detect-zeroes=on",
		"--qemu-bind-ro", shared+",/var/mnt/shared", "--debug-systemd-unit", "systemd-logind.service", "ext."+filepath.Base(root)+".*")
	require.NoFileExists(t, filepath.Join(shared, "new"))
}
