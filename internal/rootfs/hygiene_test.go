package rootfs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/testkit"
)

func TestDeviceNodesAreDroppedOrRefused(t *testing.T) {
	testkit.NeedRoot(t)
	root := t.TempDir()
	put(t, root, "dev/x", "below a mount point: never looked at")
	put(t, root, "usr/lib/image/kept", "x")
	require.NoError(t, unix.Mknod(filepath.Join(root, "dev/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	require.NoError(t, unix.Mknod(filepath.Join(root, "usr/lib/image/disk"), unix.S_IFBLK|0o660, int(unix.Mkdev(8, 0))))
	require.NoError(t, unix.Mknod(filepath.Join(root, "usr/lib/image/gone"), unix.S_IFCHR, 0))
	tree := &Tree{Root: root}

	require.EqualError(t, tree.dropDevices(true), "/usr/lib/image/disk is a device node, and ignore-devices is false")
	require.NoError(t, tree.dropDevices(false))
	entries, err := os.ReadDir(filepath.Join(root, "usr/lib/image"))
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		require.True(t, e.Type().IsRegular())
		names = append(names, e.Name())
	}
	require.Equal(t, []string{".ostree-wh.gone", "kept"}, names)
}

func TestEditsReplaceFilesThatHaveOtherNames(t *testing.T) {
	root, kept := t.TempDir(), t.TempDir()
	put(t, kept, "useradd", "HOME=/home\n")
	require.NoError(t, os.MkdirAll(filepath.Join(root, "etc/default"), 0o755))
	require.NoError(t, os.Link(filepath.Join(kept, "useradd"), filepath.Join(root, "etc/default/useradd")))
	require.NoError(t, (&Tree{Root: root}).setHome())
	require.Equal(t, "HOME=/var/home\n", get(t, root, "etc/default/useradd"))
	require.Equal(t, "HOME=/home\n", get(t, kept, "useradd"))
}
