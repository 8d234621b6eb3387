package imagetest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Firmware is how a machine starts.
type Firmware struct {
	Name string
	args []string
}

// BIOS is what qemu has by itself.
func BIOS() Firmware { return Firmware{Name: "BIOS"} }

// UEFI is OVMF with variables of its own.
func UEFI(t testing.TB) Firmware {
	t.Helper()
	const code = "/usr/share/OVMF/OVMF_CODE.fd"
	if _, err := os.Stat(code); err != nil {
		testkit.Miss(t, "no UEFI firmware; on Debian and Ubuntu: apt-get install ovmf")
	}
	vars, err := os.ReadFile("/usr/share/OVMF/OVMF_VARS.fd")
	require.NoError(t, err)
	own := filepath.Join(t.TempDir(), "vars.fd")
	require.NoError(t, os.WriteFile(own, vars, 0o600))
	return Firmware{Name: "UEFI", args: []string{
		"-drive", "if=pflash,format=raw,readonly=on,file=" + code,
		"-drive", "if=pflash,format=raw,file=" + own,
	}}
}

// Disk are qemu's arguments for a disk with sectors of some size to boot from.
func Disk(format, path string, sectorSize int) []string {
	device := "virtio-blk-pci,drive=d,bootindex=0"
	if sectorSize == 4096 {
		device += ",logical_block_size=4096,physical_block_size=4096"
	}
	return []string{"-drive", "if=none,id=d,format=" + format + ",file=" + path, "-device", device}
}

// CD are qemu's arguments for a CD to boot from.
func CD(path string) []string {
	return []string{
		"-device", "virtio-scsi-pci", "-drive", "if=none,id=d,format=raw,media=cdrom,readonly=on,file=" + path,
		"-device", "scsi-cd,drive=d,bootindex=0",
	}
}

// CommandLine boots from a medium, which is not changed, and returns what the
// tiny kernel there was started with.
func CommandLine(t testing.TB, fw Firmware, medium []string) []string {
	t.Helper()
	testkit.NeedTool(t, "qemu-system-x86_64")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // some seconds, if nothing else runs
	defer cancel()
	var serial bytes.Buffer
	args := append([]string{
		"-machine", "q35,accel=tcg", "-cpu", "max", "-m", "512", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-snapshot", "-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
	}, append(medium, fw.args...)...)
	_, err := tool.Host{}.Run(ctx, tool.Cmd{Name: "qemu-system-x86_64", Args: args, Stdout: &serial, Grace: time.Second})
	ended, ok := errors.AsType[*tool.Error](err)
	require.True(t, ok && ended.ExitCode() == tinyExit,
		"%s: the kernel was not reached: %v\n%s", fw.Name, err, serial.String())
	lines := strings.Split(strings.TrimSpace(serial.String()), "\n")
	last := lines[len(lines)-1]
	at := strings.Index(last, "BOOT_IMAGE=")
	require.GreaterOrEqual(t, at, 0, "no command line in %q", serial.String())
	return strings.Fields(last[at:])
}

// tinyExit is the status with which qemu ends at the tiny kernel's wish.
const tinyExit = 33
