package boot_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/machine"
	"github.com/nestos/nosa-actions/internal/tool"
)

// limit is how long a guest may take from its start to its end.
const limit = 15 * time.Minute

type firmware string

const (
	bios firmware = "BIOS"
	uefi firmware = "UEFI"
)

// guest is a machine to run.
type guest struct {
	firmware  firmware
	media     []string // qemu's arguments
	memoryMiB int
}

// disk returns qemu's arguments for a raw disk, which is written to.
func disk(sector int) func(path string) []string {
	return func(path string) []string {
		size := strconv.Itoa(sector)
		return []string{
			"-drive", "if=none,id=disk,format=raw,cache=unsafe,discard=unmap,file=" + path,
			"-device", "virtio-blk-pci,drive=disk,bootindex=2,logical_block_size=" + size + ",physical_block_size=" + size,
		}
	}
}

// facts are what a guest tells about one boot: keys with all their values.
type facts map[string][]string

func (f facts) one(key string) string { return strings.Join(f[key], "\n") }

// script runs once a boot is complete. It writes to the second serial port, one
// fact a line, and "end" before it ends the guest.
const script = `exec >/dev/ttyS1 2>&1
echo "state $(systemctl is-system-running --wait)"
systemctl --failed --no-legend --plain | sed 's/^/failed /'
echo "commit $(ostree admin status | sed -n 's/^\* [^ ]* \([0-9a-f]*\)\..*/\1/p')"
echo "cmdline $(cat /proc/cmdline)"
echo "config $(cat /etc/nosa-config)"
echo "root-type $(findmnt -no FSTYPE /sysroot)"
disk=/dev/$(lsblk -no PKNAME "$(findmnt -no SOURCE --nofsroot /sysroot)")
echo "root-size $(findmnt -bno SIZE /sysroot)"
echo "disk-guid $(sfdisk --disk-id "$disk")"
echo "root-uuid $(findmnt -no UUID /sysroot)"
echo "boot-uuid $(findmnt -no UUID /boot)"
echo "root-stamp $(cat /boot/.root_uuid)"
echo "sector $(blockdev --getss "$disk")"
echo "table $(sgdisk -v "$disk" | grep -o '^No problems found.')"
echo "boot-disk $(readlink -f /dev/disk/by-id/nestos-boot-disk) $disk"
ls -d /boot/ignition.firstboot /boot/ignition 2>/dev/null | sed 's/^/stamp /'
echo end
if [ ! -e /var/nosa-booted ]; then
    touch /var/nosa-booted
    systemctl reboot
else
    systemctl poweroff
fi
`

// ignition is a config that leaves a text in the guest and runs the script.
func ignition(t *testing.T, text string) []byte {
	t.Helper()
	file := func(path, content string) map[string]any {
		return map[string]any{"path": path, "contents": map[string]any{"source": "data:," + url.PathEscape(content)}}
	}
	config, err := json.Marshal(map[string]any{
		"ignition": map[string]any{"version": "3.3.0"},
		"storage":  map[string]any{"files": []any{file("/etc/nosa-config", text), file("/etc/nosa-facts", script)}},
		"systemd": map[string]any{"units": []any{map[string]any{
			// Not oneshot: the boot is complete only when no job is left.
			"name": "nosa-facts.service", "enabled": true, "contents": "[Service]\nType=simple\nExecStart=/bin/sh /etc/nosa-facts\n[Install]\nWantedBy=multi-user.target\n",
		}}},
	})
	require.NoError(t, err)
	return config
}

func (g guest) args(t testing.TB, console, facts string) []string {
	t.Helper()
	memory := g.memoryMiB
	if memory == 0 {
		memory = 2048
	}
	found, err := machine.Accelerator(t.Context(), tool.Host{}, nil, arch.X86_64)
	require.NoError(t, err)
	accel, cpu := "kvm", "host"
	if !found.KVM {
		accel, cpu = "tcg,thread=multi", "qemu64,svm=off,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+lahf_lm"
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35", "-accel", accel, "-cpu", cpu, "-smp", "2", "-m", strconv.Itoa(memory),
		"-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng",
		"-serial", "file:" + console, "-serial", "file:" + facts,
		"-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net",
	}
	if g.firmware == uefi {
		vars := filepath.Join(t.TempDir(), "vars.fd")
		host(t, "", "cp", "/usr/share/OVMF/OVMF_VARS.fd", vars)
		args = append(args, "-drive", "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE.fd",
			"-drive", "if=pflash,format=raw,file="+vars)
	}
	return append(args, g.media...)
}

// run runs a guest to its end and returns what each of its boots told.
func run(t *testing.T, g guest) []facts {
	t.Helper()
	dir := t.TempDir()
	console, told := filepath.Join(dir, "console"), filepath.Join(dir, "facts")
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit, errors.New("the guest did not end in time"))
	defer cancel()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	go watch(ctx, console, giveUp)
	_, err := tool.Host{}.Run(ctx, tool.Cmd{Name: "qemu-system-x86_64", Args: g.args(t, console, told)})
	said, _ := os.ReadFile(console)
	require.NoError(t, err, "end of the console:\n%s", said[max(0, len(said)-8000):])
	text, err := os.ReadFile(told)
	require.NoError(t, err)
	var boots []facts
	boot := facts{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key == "end" {
			boots = append(boots, boot)
			boot = facts{}
			continue
		}
		boot[key] = append(boot[key], strings.TrimSpace(value))
	}
	if t.Failed() || len(boots) == 0 {
		t.Logf("end of the console:\n%s", said[max(0, len(said)-8000):])
	}
	return boots
}

// hopeless are the words after which a boot comes to no good end.
var hopeless = [][]byte{
	[]byte("Kernel panic - not syncing"), []byte("emergency mode"), []byte("Press Enter for"), []byte("grub rescue>"),
	[]byte("No bootable device"),
}

// watch ends a guest whose boot has failed.
func watch(ctx context.Context, console string, giveUp context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(2 * time.Second):
		}
		said, _ := os.ReadFile(console)
		for _, words := range hopeless {
			if bytes.Contains(said, words) {
				time.Sleep(2 * time.Second) // for the words that follow
				giveUp(errors.New("the boot failed: " + string(words)))
				return
			}
		}
	}
}
