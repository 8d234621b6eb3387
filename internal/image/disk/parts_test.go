package disk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/sparsefile"
	"github.com/nestos/nosa-actions/internal/tool"
)

func TestConsoleCommandsStandAfterTheMarker(t *testing.T) {
	script := "a\n# CONSOLE-SETTINGS-START\n# CONSOLE-SETTINGS-END\nb\n"

	got, err := insertAfterMarker(script, []string{"serial", "terminal_input serial console"})
	require.NoError(t, err)
	require.Equal(t, "a\n# CONSOLE-SETTINGS-START\nserial\nterminal_input serial console\n# CONSOLE-SETTINGS-END\nb\n", got)

	got, err = insertAfterMarker(script, nil)
	require.NoError(t, err)
	require.Equal(t, script, got)

	_, err = insertAfterMarker("no marker\n", []string{"serial"})
	require.EqualError(t, err, `grub-script has no line "# CONSOLE-SETTINGS-START" for the console commands of platforms.yaml`)
}

func TestTooLittleSpaceIsSaid(t *testing.T) {
	err := checkSpace(t.TempDir(), 1<<60)
	require.ErrorIs(t, err, image.ErrNoSpace)
	require.ErrorContains(t, err, "MiB free, the image takes 1099511627776 more")
	require.NoError(t, checkSpace(t.TempDir(), 1))
}

func TestVendorDirectoryFollowsTheTree(t *testing.T) {
	for name, c := range map[string]struct{ release, want string }{
		"plain":    {"NAME=x\nID=nestos\n", "nestos"},
		"quoted":   {"ID=\"openEuler\"\n", "openEuler"},
		"missing":  {"NAME=x\n", "linux"},
		"a path":   {"ID=../../etc\n", "linux"},
		"like one": {"VERSION_ID=3\nID_LIKE=debian\n", "linux"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := t.TempDir()
			require.NoError(t, os.MkdirAll(filepath.Join(tree, "usr/lib"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(tree, "usr/lib/os-release"), []byte(c.release), 0o644))
			require.Equal(t, c.want, osID(tree))
		})
	}
	require.Equal(t, "linux", osID(t.TempDir()))
}

func TestExt4ArgumentsFollowThePlan(t *testing.T) {
	part := image.Partition{Start: 1 << 20, Size: 512 << 20, FS: &image.Filesystem{
		Type: image.Ext4, Label: "boot", UUID: image.BootUUID, GRUBReads: true, CsumSeed: true, Verity: true, Inodes: 99999,
		ExtraOptions: []string{"-m", "1"},
	}}
	require.Equal(t, []string{
		"-q", "-F", "-t", "ext4", "-b", "4096", "-L", "boot", "-U", image.BootUUID, "-d", "dir",
		"-E", "offset=1048576,nodiscard,root_owner=0:0", "-O", "^orphan_file,metadata_csum_seed,verity",
		"-N", "99999", "-m", "1", "disk", "524288k",
	}, ext4Args(part, "disk", 1<<20, "dir"))
}

func TestKernelWithoutXFSIsToldTheWayOut(t *testing.T) {
	scratch := t.TempDir()
	part := image.Partition{Label: "root", Size: 1 << 20, FS: &image.Filesystem{Type: image.XFS, Label: "root", UUID: image.RootUUID}}
	b := &builder{
		Sysroot: &Sysroot{Path: scratch, run: noXFS{}}, plan: &image.Plan{SectorSize: 512},
		scratch: scratch, disk: filepath.Join(scratch, "disk.raw"),
	}
	require.NoError(t, sparsefile.Create(b.disk, 2<<20))

	err := b.makeMounted(t.Context(), part, b.disk, 0)

	require.EqualError(t, err, "filling it through a loop mount (rootfs: ext4 in image.yaml needs none): "+
		"unshare: exit status 32: mount: /mnt: unknown filesystem type 'xfs'.")
}

// noXFS is a host whose kernel cannot mount xfs.
type noXFS struct{ tool.Runner }

func (noXFS) Run(_ context.Context, c tool.Cmd) ([]byte, error) {
	if c.Name == "unshare" {
		return nil, &tool.Error{Cmd: c, Stderr: "mount: /mnt: unknown filesystem type 'xfs'.\n", Err: errors.New("exit status 32")}
	}
	return nil, nil
}
