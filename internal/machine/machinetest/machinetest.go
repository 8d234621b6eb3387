// Package machinetest makes the smallest guest that says something, for tests
// of code that watches guests: a BIOS boot sector, so that a test needs no
// kernel and takes about a second.
package machinetest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Speaker writes a disk image whose boot sector writes text, at most some 400
// bytes, to the serial port and then either halts or powers the machine off. It
// returns the path.
func Speaker(t testing.TB, text string, powerOff bool) string {
	t.Helper()
	var end []byte
	if powerOff { // SLP_EN with type 0 into PM1a control, where SeaBIOS put it
		end = []byte{0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef}
	}
	return speaker(t, text, end)
}

// Looper is a Speaker that resets the machine instead, so that it starts again
// and again.
func Looper(t testing.TB, text string) string {
	t.Helper()
	return speaker(t, text, []byte{0xb0, 0xfe, 0xe6, 0x64}) // the keyboard controller's reset line
}

func speaker(t testing.TB, text string, end []byte) string {
	t.Helper()
	code := []byte{
		0xfa,       // cli
		0x31, 0xc0, // xor ax, ax
		0x8e, 0xd8, // mov ds, ax
		0xfc,             // cld
		0xbe, 0x00, 0x00, // mov si, TEXT
		0xba, 0xf8, 0x03, // mov dx, 0x3f8
		0xac,       // next: lodsb
		0x84, 0xc0, // test al, al
		0x74, 0x03, // jz end
		0xee,       // out dx, al
		0xeb, 0xf8, // jmp next
	}
	code = append(code, end...)
	code = append(code, 0xf4, 0xeb, 0xfd) // end: hlt; jmp end
	at := 0x7c00 + len(code)
	code[7], code[8] = byte(at), byte(at>>8)
	code = append(append(code, text...), 0)
	require.Less(t, len(code), 510)
	disk := make([]byte, 1<<20)
	copy(disk, code)
	disk[510], disk[511] = 0x55, 0xaa
	path := filepath.Join(t.TempDir(), "speaker.img")
	require.NoError(t, os.WriteFile(path, disk, 0o600))
	return path
}
