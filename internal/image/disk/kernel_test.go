package disk_test

import (
	"bytes"
	"context"
	"encoding/binary"
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

// tinyKernel is a kernel by the x86 Linux boot protocol 2.06 whose whole work
// is to write its command line to the first serial port and to end the machine
// with exit status 33, from its 16-bit entry as from its 32-bit one. It boots in
// no time and needs no package.
func tinyKernel() []byte {
	code16 := []byte{
		0x66, 0xa1, 0x28, 0x02, // mov eax, [0x228]: cmd_line_ptr
		0x89, 0xc3, // mov bx, ax
		0x83, 0xe3, 0x0f, // and bx, 0xf
		0x66, 0xc1, 0xe8, 0x04, // shr eax, 4
		0x8e, 0xd8, // mov ds, ax
		0xba, 0xf8, 0x03, // mov dx, 0x3f8
		0x8a, 0x07, // next: mov al, [bx]
		0x84, 0xc0, // test al, al
		0x74, 0x04, // jz done
		0xee,       // out dx, al
		0x43,       // inc bx
		0xeb, 0xf6, // jmp next
		0xb0, 0x0a, // done: mov al, '\n'
		0xee,             // out dx, al
		0xba, 0xf4, 0x00, // mov dx, 0xf4: isa-debug-exit
		0xb0, 0x10, // mov al, 0x10
		0xee,       // out dx, al
		0xf4,       // hlt
		0xeb, 0xfd, // jmp to hlt
	}
	code := []byte{
		0x8b, 0x9e, 0x28, 0x02, 0x00, 0x00, // mov ebx, [esi+0x228]: cmd_line_ptr
		0x66, 0xba, 0xf8, 0x03, // mov dx, 0x3f8
		0x8a, 0x03, // next: mov al, [ebx]
		0x84, 0xc0, // test al, al
		0x74, 0x04, // jz done
		0xee,       // out dx, al
		0x43,       // inc ebx
		0xeb, 0xf6, // jmp next
		0xb0, 0x0a, // done: mov al, '\n'
		0xee,                   // out dx, al
		0x66, 0xba, 0xf4, 0x00, // mov dx, 0xf4: isa-debug-exit
		0xb0, 0x10, // mov al, 0x10
		0xee,       // out dx, al
		0xf4,       // hlt
		0xeb, 0xfd, // jmp to hlt
	}
	k := make([]byte, 1024+4096)
	k[0x1f1] = 1 // sectors of set-up code
	put := binary.LittleEndian
	put.PutUint16(k[0x1fe:], 0xaa55)
	copy(k[0x200:], []byte{0xeb, 0x66})
	copy(k[0x202:], "HdrS")
	put.PutUint16(k[0x206:], 0x0206)
	k[0x211] = 1 // loaded high
	put.PutUint32(k[0x214:], 0x100000)
	put.PutUint32(k[0x22c:], 0x37ffffff) // highest address of an initrd
	put.PutUint32(k[0x230:], 0x100000)   // alignment
	k[0x234] = 1                         // relocatable
	put.PutUint32(k[0x238:], 2047)       // length of the command line
	copy(k[0x268:], code16)              // where 0x200 jumps to
	copy(k[1024:], code)
	return k
}

// firmware is how a machine starts.
type firmware struct {
	name string
	args []string
}

func bios() firmware { return firmware{name: "BIOS"} }

func uefi(t *testing.T) firmware {
	t.Helper()
	const code = "/usr/share/OVMF/OVMF_CODE.fd"
	if _, err := os.Stat(code); err != nil {
		testkit.Miss(t, "no UEFI firmware; on Debian and Ubuntu: apt-get install ovmf")
	}
	vars, err := os.ReadFile("/usr/share/OVMF/OVMF_VARS.fd")
	require.NoError(t, err)
	own := filepath.Join(t.TempDir(), "vars.fd")
	require.NoError(t, os.WriteFile(own, vars, 0o600))
	return firmware{name: "UEFI", args: []string{
		"-drive", "if=pflash,format=raw,readonly=on,file=" + code,
		"-drive", "if=pflash,format=raw,file=" + own,
	}}
}

// commandLine boots a copy-on-write view of the disk and returns what the tiny
// kernel was started with.
func commandLine(t *testing.T, fw firmware, format, disk string, blockSize int) []string {
	t.Helper()
	testkit.NeedTool(t, "qemu-system-x86_64")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var serial bytes.Buffer
	device := "virtio-blk-pci,drive=d,bootindex=0"
	if blockSize == 4096 {
		device += ",logical_block_size=4096,physical_block_size=4096"
	}
	args := append([]string{
		"-machine", "q35,accel=tcg", "-cpu", "max", "-m", "512", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-snapshot", "-drive", "if=none,id=d,format=" + format + ",file=" + disk, "-device", device,
		"-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
	}, fw.args...)
	_, err := tool.Host{}.Run(ctx, tool.Cmd{Name: "qemu-system-x86_64", Args: args, Stdout: &serial, Grace: time.Second})
	var ended *tool.Error
	require.True(t, errors.As(err, &ended) && ended.ExitCode() == 33,
		"%s: the kernel was not reached: %v\n%s", fw.name, err, serial.String())
	lines := strings.Split(strings.TrimSpace(serial.String()), "\n")
	last := lines[len(lines)-1]
	at := strings.Index(last, "BOOT_IMAGE=")
	require.GreaterOrEqual(t, at, 0, "no command line in %q", serial.String())
	return strings.Fields(last[at:])
}
