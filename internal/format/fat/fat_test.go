package fat_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/fat"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

func image(t testing.TB, size int64, options ...string) []byte {
	t.Helper()
	testkit.NeedTool(t, "mkfs.vfat", "mcopy")
	dir := t.TempDir()
	tree := filepath.Join(dir, "EFI")
	require.NoError(t, os.MkdirAll(filepath.Join(tree, "BOOT"), 0o755))
	for name, content := range map[string][]byte{
		"BOOT/BOOTX64.EFI": bytes.Repeat([]byte("program"), 50_000), "BOOT/grub.cfg": []byte("configfile\n"),
		"BOOT/A name that is long indeed, and mixed.Case": []byte("x"), "empty": nil,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(tree, name), content, 0o644))
	}
	file := filepath.Join(dir, "fat")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	require.NoError(t, os.Truncate(file, size))
	for _, c := range []tool.Cmd{
		{Name: "mkfs.vfat", Args: append(append([]string{"-n", "EFI-SYSTEM", "-i", "12345678"}, options...), file)},
		{Name: "mcopy", Args: []string{"-i", file, "-s", "-Q", tree, "::"}},
	} {
		_, err := tool.Host{}.Run(t.Context(), c)
		require.NoError(t, err)
	}
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	return data
}

func find(t testing.TB, list []fat.Entry, name string) fat.Entry {
	t.Helper()
	for _, e := range list {
		if e.Name == name {
			return e
		}
	}
	require.Fail(t, "no "+name, "%v", list)
	return fat.Entry{}
}

func TestReadsWhatMkfsWrites(t *testing.T) {
	for name, c := range map[string]struct {
		size    int64
		bits    int
		options []string
	}{
		"FAT12":             {3 << 20, 12, nil},
		"FAT16":             {127 << 20, 16, nil},
		"FAT32":             {64 << 20, 32, []string{"-F", "32", "-s", "1"}},
		"FAT16, 4k sectors": {127 << 20, 16, []string{"-S", "4096"}},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := fat.Open(bytes.NewReader(image(t, c.size, c.options...)))
			require.NoError(t, err)
			require.Equal(t, c.bits, f.Bits)
			root, err := f.Root()
			require.NoError(t, err)
			require.Equal(t, "EFI-SYSTEM", f.Label)
			require.EqualValues(t, 0x12345678, f.VolumeID)
			efi, err := f.List(find(t, root, "EFI"))
			require.NoError(t, err)
			require.Len(t, efi, 2)
			empty, err := f.ReadFile(find(t, efi, "empty"))
			require.NoError(t, err)
			require.Empty(t, empty)
			boot, err := f.List(find(t, efi, "BOOT"))
			require.NoError(t, err)
			require.Len(t, boot, 3)
			program, err := f.ReadFile(find(t, boot, "BOOTX64.EFI"))
			require.NoError(t, err)
			require.True(t, bytes.Equal(bytes.Repeat([]byte("program"), 50_000), program))
			script, err := f.ReadFile(find(t, boot, "grub.cfg"))
			require.NoError(t, err)
			require.Equal(t, "configfile\n", string(script))
			find(t, boot, "A name that is long indeed, and mixed.Case")
		})
	}
}

func TestLabelIsThatOfTheRootDirectoryAlone(t *testing.T) {
	b := image(t, 3<<20)
	copy(b[43:], "BOOT SECTOR")
	record := bytes.Index(b, []byte("GRUB    CFG"))
	require.Positive(t, record)
	b[record+11] = 8 // a label in another directory
	f, err := fat.Open(bytes.NewReader(b))
	require.NoError(t, err)
	require.Equal(t, "EFI-SYSTEM", f.Label)
	list, err := f.Root()
	require.NoError(t, err)
	for _, name := range []string{"EFI", "BOOT"} {
		list, err = f.List(find(t, list, name))
		require.NoError(t, err)
	}
	require.Len(t, list, 2)
	require.Equal(t, "EFI-SYSTEM", f.Label)
}

func TestDamageIsTold(t *testing.T) {
	good := image(t, 3<<20)
	for name, b := range map[string][]byte{
		"nothing": nil, "no signature": append(bytes.Clone(good[:510]), 0, 0), "cut short": good[:1024],
		"no sectors": append(append(bytes.Clone(good[:11]), 0, 0), good[13:512]...),
	} {
		_, err := fat.Open(bytes.NewReader(b))
		require.ErrorIs(t, err, fat.ErrBad, name)
	}
}

func FuzzOpen(f *testing.F) {
	good := image(f, 1<<20)
	f.Add(0, []byte{}, 0, []byte{})
	f.Add(11, []byte{0, 2, 1}, 512, []byte{0xf8, 0xff, 0xff, 3, 0x40})
	f.Fuzz(func(_ *testing.T, a int, x []byte, b int, y []byte) {
		bad := bytes.Clone(good)
		for at, change := range map[int][]byte{a: x, b: y} {
			if at >= 0 && at < len(bad) {
				copy(bad[at:], change)
			}
		}
		fsys, err := fat.Open(bytes.NewReader(bad))
		if err != nil {
			return
		}
		list, err := fsys.Root()
		for depth := 0; err == nil && len(list) > 0 && depth < 5; depth++ {
			if e := list[0]; e.Dir {
				list, err = fsys.List(e)
			} else {
				_, err = fsys.ReadFile(e)
			}
		}
	})
}
