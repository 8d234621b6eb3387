package bls_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/bls"
)

const ostreeEntry = `title NestOS 24.03-LTS.20250114.0 (ostree:0)
version 1
options mitigations=auto,nosmt ignition.platform.id=qemu console=tty0 console=ttyS0,115200n8 $ignition_firstboot ostree=/ostree/boot.1/nestos/abc/0
linux /ostree/nestos-abc/vmlinuz-6.6.0
initrd /ostree/nestos-abc/initramfs-6.6.0.img
aboot /ostree/deploy/nestos/deploy/abc.0/usr/lib/ostree-boot/aboot.img
`

func TestParseKeepsTheOrderOfArguments(t *testing.T) {
	e, err := bls.Parse([]byte(ostreeEntry))

	require.NoError(t, err)
	require.Equal(t, bls.Entry{
		Title:   "NestOS 24.03-LTS.20250114.0 (ostree:0)",
		Version: "1",
		Linux:   "/ostree/nestos-abc/vmlinuz-6.6.0",
		Initrd:  []string{"/ostree/nestos-abc/initramfs-6.6.0.img"},
		Options: []string{
			"mitigations=auto,nosmt", "ignition.platform.id=qemu", "console=tty0", "console=ttyS0,115200n8",
			"$ignition_firstboot", "ostree=/ostree/boot.1/nestos/abc/0",
		},
		Other: map[string][]string{"aboot": {"/ostree/deploy/nestos/deploy/abc.0/usr/lib/ostree-boot/aboot.img"}},
	}, e)
}

func TestParseJoinsRepeatedKeysAndSkipsComments(t *testing.T) {
	e, err := bls.Parse([]byte("# by hand\n\nlinux\t/vmlinuz\noptions a=1\noptions b=2  c\ninitrd /ucode /initrd\ninitrd /more\n"))

	require.NoError(t, err)
	require.Equal(t, []string{"a=1", "b=2", "c"}, e.Options)
	require.Equal(t, []string{"/ucode", "/initrd", "/more"}, e.Initrd)
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":        {"", "boot entry names no kernel: key linux is missing"},
		"key alone":      {"linux /vmlinuz\ninitrd\n", `boot entry line 2: key "initrd" has no value`},
		"far too long":   {strings.Repeat("x", 1<<20+1), "boot entry of 1048577 bytes is too long"},
		"other keys but": {"title a\noptions b\n", "boot entry names no kernel: key linux is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := bls.Parse([]byte(c.text))
			require.EqualError(t, err, c.want)
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(ostreeEntry))
	f.Add([]byte("linux\t/a\noptions\tb\n#c\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := bls.Parse(text)
		if err != nil {
			return
		}
		// What was read, written again, reads the same.
		again := "linux " + e.Linux + "\n"
		if len(e.Options) > 0 {
			again += "options " + strings.Join(e.Options, " ") + "\n"
		}
		second, err := bls.Parse([]byte(again))
		require.NoError(t, err)
		require.Equal(t, e.Linux, second.Linux)
		require.Equal(t, e.Options, second.Options)
	})
}
