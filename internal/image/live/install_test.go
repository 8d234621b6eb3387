package live_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// installation is a run of the installer with a payload in a directory, as PXE
// leaves it, and a loop device for a disk.
type installation struct {
	t             *testing.T
	board         string
	image         []byte
	backing, disk string
}

func newInstallation(t *testing.T, size int64, sector string) *installation {
	t.Helper()
	testkit.NeedRoot(t)
	testkit.NeedTool(t, "losetup", "zstd", "wipefs", "blockdev", "udevadm", "cpio")
	i := &installation{t: t, board: t.TempDir(), backing: filepath.Join(t.TempDir(), "disk")}
	i.image = make([]byte, 4<<20)
	random := rand.NewChaCha8([32]byte{})
	_, err := random.Read(i.image)
	require.NoError(t, err)
	raw := filepath.Join(t.TempDir(), "raw")
	require.NoError(t, os.WriteFile(raw, i.image, 0o600))
	host(t, "zstd", "-q", "-o", filepath.Join(i.board, "metal.raw.zst"), raw)
	i.info(fmt.Sprintf("%x", sha256.Sum256(i.image)))
	require.NoError(t, os.WriteFile(i.backing, bytes.Repeat([]byte("old"), int(size)/3+1)[:size], 0o600))
	i.disk = host(t, "losetup", "--find", "--show", "--partscan", "--sector-size", sector, i.backing)
	t.Cleanup(func() {
		_, err := tool.Host{}.Run(context.Background(), tool.Cmd{Name: "losetup", Args: []string{"--detach", i.disk}})
		require.NoError(t, err)
	})
	return i
}

func (i *installation) info(sum string) {
	i.t.Helper()
	text := fmt.Sprintf("%s %d 512 1.0\n", sum, len(i.image))
	require.NoError(i.t, os.WriteFile(filepath.Join(i.board, "metal.info"), []byte(text), 0o600))
}

// run runs the installer with the arguments on the kernel command line.
func (i *installation) run(args string) (string, error) {
	i.t.Helper()
	cmdline := filepath.Join(i.t.TempDir(), "cmdline")
	require.NoError(i.t, os.WriteFile(cmdline, []byte("quiet "+args+" nestos.inst.skip_reboot\n"), 0o600))
	var said strings.Builder
	_, err := tool.Host{}.Run(i.t.Context(), tool.Cmd{
		Name: "sh", Args: []string{"install.sh"}, Stdout: &said, Stderr: &said,
		Env: []string{"NESTOS_CMDLINE=" + cmdline, "NESTOS_ON_BOARD=" + i.board},
	})
	return said.String(), err
}

func TestInstallerWritesTheWholeImage(t *testing.T) {
	for name, arrange := range map[string]func(*installation){
		"from files": func(*installation) {},
		"from rootfs.img": func(i *installation) {
			host(i.t, "sh", "-c", `cd "$1" && mkdir nestos-installer && mv metal.* nestos-installer &&
				find nestos-installer | cpio --quiet -o -H newc >rootfs.img && rm -r nestos-installer`, "sh", i.board)
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := newInstallation(t, 6<<20, "512")
			arrange(i)
			said, err := i.run("nestos.inst.install_dev=" + strings.TrimPrefix(i.disk, "/dev/"))
			require.NoError(t, err, said)
			require.Contains(t, said, "done: "+i.disk+" boots build 1.0")
			require.True(t, read(t, i.backing)[:len(i.image)] == string(i.image))
		})
	}
}

func TestInstallerLeavesNothingToBootFromADamagedImage(t *testing.T) {
	i := newInstallation(t, 6<<20, "512")
	i.info(strings.Repeat("00", 32))
	said, err := i.run("nestos.inst.install_dev=" + i.disk)
	require.Error(t, err)
	require.Contains(t, said, "the image on board is damaged")
	require.NotEqual(t, string(i.image[:1<<20]), read(t, i.backing)[:1<<20])
}

func TestInstallerRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		size         int64
		sector, args string
		want         string
	}{
		"a disk that is too small": {2 << 20, "512", "nestos.inst.install_dev=DISK", "is smaller than the image of 4194304 bytes"},
		"other sectors":            {6 << 20, "4096", "nestos.inst.install_dev=DISK", "no metal4k image is on board"},
		"no disk":                  {6 << 20, "512", "nestos.inst.install_dev=/dev/null", "/dev/null is not a disk"},
		"an empty name":            {6 << 20, "512", "nestos.inst.install_dev=", "names no disk"},
		"an unknown URL":           {6 << 20, "512", "nestos.inst.install_dev=DISK nestos.inst.ignition_url=ftp://x/y", "is neither http(s):// nor file://"},
		"a config that is not there": {
			6 << 20, "512", "nestos.inst.install_dev=DISK nestos.inst.ignition_url=file:///nowhere/x", "/nowhere/x",
		},
		"an odd platform": {6 << 20, "512", "nestos.inst.install_dev=DISK nestos.inst.platform_id=a/b", "is not the name of a platform"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newInstallation(t, c.size, c.sector)
			said, err := i.run(strings.ReplaceAll(c.args, "DISK", i.disk))
			require.Error(t, err)
			require.Contains(t, said, c.want)
			require.Equal(t, strings.Repeat("old", 100), read(t, i.backing)[:300], "the disk is as it was")
		})
	}
}
