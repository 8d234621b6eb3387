package machine

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/diskfs/go-diskfs/partition/gpt"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// bootDisk makes a qcow2 disk with an ext4 boot partition of the files given.
func bootDisk(t *testing.T, files map[string]string) string {
	t.Helper()
	testkit.NeedTool(t, "mke2fs", "debugfs", "qemu-img")
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree")
	for name, content := range files {
		path := filepath.Join(tree, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	require.NoError(t, os.Symlink("loader.1", filepath.Join(tree, "loader")))
	raw := filepath.Join(dir, "disk.raw")
	f, err := os.Create(raw)
	require.NoError(t, err)
	defer f.Close()
	const size, start, part = 32 << 20, 1 << 20, 16 << 20
	require.NoError(t, f.Truncate(size))
	table := &gpt.Table{LogicalSectorSize: 512, PhysicalSectorSize: 512, ProtectiveMBR: true, Partitions: []*gpt.Partition{
		{Index: 1, Start: start / 512, End: (start+part)/512 - 1, Type: gpt.LinuxFilesystem, Name: "boot"},
	}}
	require.NoError(t, table.Write(f, size))
	host := func(name string, args ...string) {
		_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: name, Args: args})
		require.NoError(t, err)
	}
	host("mke2fs", "-q", "-t", "ext4", "-d", tree, "-E", "offset=1048576", raw, "16m")
	base, overlay := filepath.Join(dir, "base,1.qcow2"), filepath.Join(dir, "over,1.qcow2")
	host("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, base)
	host("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, overlay)
	return overlay
}

const entry = "title NestOS\nversion 1\noptions ro $ignition_firstboot ostree=/ostree/boot.1/a/b/0\nlinux /ostree/a/vmlinuz\n"

// readBack returns a file of the disk's boot partition.
func readBack(t *testing.T, disk, name string) string {
	t.Helper()
	dir := t.TempDir()
	start, size, err := findPartition(t.Context(), tool.Host{}, disk, dir, "boot")
	require.NoError(t, err)
	b := bootPartition{run: tool.Host{}, image: filepath.Join(dir, "boot.img"), dir: dir}
	require.NoError(t, copyOut(t.Context(), tool.Host{}, disk, start, size, b.image))
	_, err = tool.Host{}.Run(t.Context(), tool.Cmd{Name: "e2fsck", Args: []string{"-fn", b.image}})
	require.NoError(t, err, "the file system is sound")
	text, err := b.read(t.Context(), name)
	require.NoError(t, err)
	return string(text)
}

func TestBootEntriesAndMenuGetArguments(t *testing.T) {
	disk := bootDisk(t, map[string]string{
		"loader.1/entries/ostree-1.conf": entry, "loader.1/entries/ostree-2.conf": entry,
		"loader.1/syslinux.cfg": "TIMEOUT 10\nLABEL a\n\tAPPEND ro x\n", "ignition.firstboot": "",
	})
	require.NoError(t, editBoot(t.Context(), tool.Host{}, disk, t.TempDir(), bootEdit{kargs: "one two=3", firstboot: "ip=dhcp", config: []byte("{}")}))
	for _, name := range []string{"ostree-1.conf", "ostree-2.conf"} {
		require.Contains(t, readBack(t, disk, "/loader/entries/"+name), "ostree=/ostree/boot.1/a/b/0 one two=3\nlinux")
	}
	require.Equal(t, "TIMEOUT 10\nLABEL a\n\tAPPEND ro x one two=3\n", readBack(t, disk, "/loader/syslinux.cfg"))
	require.Equal(t, "set ignition_network_kcmdline='ip=dhcp'\n", readBack(t, disk, "/ignition.firstboot"))
	require.Equal(t, "{}", readBack(t, disk, "/ignition/config.ign"))
}

func TestBootPartitionThatCannotBeChanged(t *testing.T) {
	disk := bootDisk(t, map[string]string{"loader.1/entries/a.conf": "linux /x\n"})
	for want, edit := range map[string]bootEdit{
		`/loader/entries/a.conf has no line "options"`: {kargs: "x"},
		"the image was booted before":                  {firstboot: "x"},
		"cannot contain quotes":                        {firstboot: "it's"},
	} {
		require.ErrorContains(t, editBoot(t.Context(), tool.Host{}, disk, t.TempDir(), edit), want)
	}
	plain := filepath.Join(t.TempDir(), "plain.qcow2")
	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "qemu-img", Args: []string{"create", "-q", "-f", "qcow2", plain, "8M"}})
	require.NoError(t, err)
	require.ErrorContains(t, editBoot(t.Context(), tool.Host{}, plain, t.TempDir(), bootEdit{kargs: "x"}), "no GUID partition table")
}

func TestCheckBootFindsEntriesThatAreNotWhole(t *testing.T) {
	good := map[string]string{
		"loader.1/entries/a.conf": "linux /ostree/a/vmlinuz\ninitrd /ostree/a/initramfs\n",
		"ostree/a/vmlinuz":        "kernel", "ostree/a/initramfs": "initramfs",
	}
	n, err := CheckBoot(t.Context(), tool.Host{}, bootDisk(t, good), t.TempDir())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	for name, c := range map[string]struct{ file, content, want string }{
		"empty kernel": {"ostree/a/vmlinuz", "", "a.conf names /ostree/a/vmlinuz, which is not there or empty"},
		"cut entry":    {"loader.1/entries/a.conf", "linux", `boot entry line 1: key "linux" has no value`},
		"other file":   {"loader.1/entries/a.conf", "linux /ostree/b\n", "a.conf names /ostree/b, which is not there or empty"},
	} {
		t.Run(name, func(t *testing.T) {
			files := maps.Clone(good)
			files[c.file] = c.content
			_, err := CheckBoot(t.Context(), tool.Host{}, bootDisk(t, files), t.TempDir())
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err = CheckBoot(t.Context(), tool.Host{}, bootDisk(t, map[string]string{"loader.1/entries/x": ""}), t.TempDir())
	require.ErrorContains(t, err, "there are no boot entries")
}
