package live_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/image/imagetest"
	"github.com/nestos/nosa-actions/internal/image/live"
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
	objects       string
}

func newInstallation(t *testing.T, size int64, sector string) *installation {
	t.Helper()
	testkit.NeedRoot(t)
	testkit.NeedTool(t, "losetup", "zstd", "wipefs", "blockdev", "udevadm", "cpio")
	i := &installation{t: t, board: t.TempDir(), backing: filepath.Join(t.TempDir(), "disk")}
	i.image = metal()
	i.pack("metal.raw.zst", i.image)
	i.info("metal", digest(i.image), 512)
	require.NoError(t, os.WriteFile(i.backing, bytes.Repeat([]byte("old"), int(size)/3+1)[:size], 0o600))
	i.disk = host(t, "losetup", "--find", "--show", "--partscan", "--sector-size", sector, i.backing)
	t.Cleanup(func() {
		_, err := tool.Host{}.Run(context.Background(), tool.Cmd{Name: "losetup", Args: []string{"--detach", i.disk}})
		require.NoError(t, err)
	})
	return i
}

func digest(content []byte) string { return fmt.Sprintf("%x", sha256.Sum256(content)) }

// pack puts compressed content on board.
func (i *installation) pack(name string, content []byte) {
	i.t.Helper()
	raw := filepath.Join(i.t.TempDir(), "raw")
	require.NoError(i.t, os.WriteFile(raw, content, 0o600))
	host(i.t, "zstd", "-q", "-f", "-o", filepath.Join(i.board, name), raw)
}

func (i *installation) put(name, text string) {
	i.t.Helper()
	require.NoError(i.t, os.WriteFile(filepath.Join(i.board, name), []byte(text), 0o600))
}

func (i *installation) info(kind, sum string, sector int) {
	i.t.Helper()
	i.put(kind+".info", fmt.Sprintf("%s %d %d 1.0\n", sum, len(i.image), sector))
}

// run runs the installer with the arguments on the kernel command line.
func (i *installation) run(args string) (string, error) {
	i.t.Helper()
	cmdline := filepath.Join(i.t.TempDir(), "cmdline")
	require.NoError(i.t, os.WriteFile(cmdline, []byte("quiet "+args+" nestos.inst.skip_reboot\n"), 0o600))
	var said strings.Builder
	_, err := tool.Host{}.Run(i.t.Context(), tool.Cmd{
		Name: "sh", Args: []string{"install.sh"}, Stdout: &said, Stderr: &said,
		Env: []string{"NESTOS_CMDLINE=" + cmdline, "NESTOS_ON_BOARD=" + i.board, "NESTOS_OBJECTS=" + i.objects},
	})
	return said.String(), err
}

func TestInstallerWritesTheWholeImage(t *testing.T) {
	for name, arrange := range map[string]func(*installation){
		"from files": func(*installation) {},
		"from rootfs.img": func(i *installation) {
			host(i.t, "sh", "-c", `cd "$1" && mkdir nestos-installer && mv metal* nestos-installer &&
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
	i.info("metal", strings.Repeat("00", 32), 512)
	said, err := i.run("nestos.inst.install_dev=" + i.disk)
	require.Error(t, err)
	require.Contains(t, said, "the image on board is damaged")
	require.NotEqual(t, string(i.image[:1<<20]), read(t, i.backing)[:1<<20])
}

// The image is a real file system of the tree, and all that is put together with is
// what the live system would have.
func TestInstallerPutsPiecesTogether(t *testing.T) {
	tree := imagetest.SmallTree(t)
	for _, program := range []string{"split", "truncate", "xargs"} {
		require.NoError(t, os.WriteFile(filepath.Join(tree, "usr/bin", program), nil, 0o755))
	}
	random := make([]byte, 9<<20)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(random) // never fails
	clear(random[1<<20 : 2<<20])                     // a hole, which parts the file on the disk
	require.NoError(t, os.WriteFile(filepath.Join(tree, "usr/lib/data"), random, 0o644))
	r := of(t, tree)
	sysroot := r.deploy(t)
	fs := filepath.Join(t.TempDir(), "fs")
	host(t, "mke2fs", "-q", "-t", "ext4", "-b", "4096", "-d", sysroot.Path, fs, "64m")
	content := []byte(read(t, fs))
	r.input.Payloads = func(context.Context) ([]live.Payload, error) {
		return []live.Payload{{Kind: image.Metal, Path: fs, SHA256: digest(content), Size: int64(len(content))}}, nil
	}
	_, err := r.writeFrom(t, sysroot)
	require.NoError(t, err)

	i := newInstallation(t, 65<<20, "512")
	i.board, i.objects = t.TempDir(), filepath.Join(sysroot.Path, "ostree/repo/objects")
	host(t, "cp", r.path(live.Rootfs), filepath.Join(i.board, "rootfs.img"))
	board := members(t, filepath.Join(i.board, "rootfs.img"))
	require.Contains(t, board, "nestos-installer/metal.list.zst")
	require.NotContains(t, board, "nestos-installer/metal.raw.zst")
	blocks := host(t, "sh", "-c", `cpio --quiet -i --to-stdout nestos-installer/metal.blocks.zst <"$1" | zstd -dc | wc -c`, "sh", filepath.Join(i.board, "rootfs.img"))
	left, err := strconv.Atoi(strings.TrimSpace(blocks))
	require.NoError(t, err)
	require.Less(t, left, 2<<20, "the data are an object in parts")
	said, err := i.run("nestos.inst.install_dev=" + i.disk)
	require.NoError(t, err, said)
	require.True(t, read(t, i.backing)[:len(content)] == string(content))

	i.objects = t.TempDir()
	said, err = i.run("nestos.inst.install_dev=" + i.disk)
	require.Error(t, err)
	require.Contains(t, said, "the image on board is damaged")
	require.NotEqual(t, string(content[:1<<20]), read(t, i.backing)[:1<<20])
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
