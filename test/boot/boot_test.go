// Package boot_test boots every image that the example's config gives, in the
// ways that people boot it. Metal disks under BIOS and UEFI run a script that tells
// what it found and ends the guest; all else goes by nosa kola, which is tried with
// it: the live system as CD, as disk and from the network, and its unattended
// installation; updates with power cuts; gates of boot time.
//
// It takes minutes for each guest where there is no KVM, so it runs only where
// NOSA_TEST_BOOT is set, as make test-all does. NOSA_BOOT_WORKDIR names a work
// directory whose newest build has the images; without it one is composed, for all
// tests that do not need another config.
package boot_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// world is the build that is booted.
type world struct {
	work
	build  workdir.Build
	commit string
}

var shared struct {
	once sync.Once
	root string // of what is made here
	world
}

func TestMain(m *testing.M) {
	status := m.Run()
	if shared.root != "" {
		os.RemoveAll(shared.root)
	}
	os.Exit(status)
}

// newWorld is the build that all tests share. Tests may make builds after it.
func newWorld(t testing.TB) world {
	t.Helper()
	need(t)
	shared.once.Do(func() {
		root, err := os.MkdirTemp("", "boot-test-")
		require.NoError(t, err)
		shared.root = root
		w := program(t, root)
		if dir := os.Getenv("NOSA_BOOT_WORKDIR"); dir != "" {
			w.dir = dir
		} else {
			config, err := filepath.Abs("../../examples/nestos-mini")
			require.NoError(t, err)
			w.compose(t, config)
			w.nosa(t, "buildextend", "qemu", "metal", "metal4k", "live", "--fast")
		}
		shared.world = w.newest(t)
	})
	require.NotEmpty(t, shared.commit, "there is no build to boot")
	return shared.world
}

func need(t testing.TB) {
	t.Helper()
	if os.Getenv("NOSA_TEST_BOOT") == "" {
		t.Skip("boots many guests; make test-all sets NOSA_TEST_BOOT")
	}
	testkit.NeedRoot(t)
	testkit.NeedTool(t, "qemu-system-x86_64", "qemu-img", "xorriso", "cpio", "xz", "debugfs", "dnf", "ostree", "mksquashfs")
}

// work is a work directory with the program that fills it.
type work struct{ program, dir string }

// program builds nosa, for a work directory below root.
func program(t testing.TB, root string) work {
	t.Helper()
	w := work{filepath.Join(root, "nosa"), filepath.Join(root, "work")}
	host(t, "", "go", "build", "-o", w.program, "../../cmd/nosa")
	return w
}

func (w work) nosa(t testing.TB, args ...string) {
	t.Helper()
	host(t, w.dir, w.program, args...)
}

// newest is the work directory's newest build.
func (w work) newest(t testing.TB) world {
	t.Helper()
	d, err := workdir.Open(w.dir, arch.X86_64)
	require.NoError(t, err)
	build, err := d.Latest()
	require.NoError(t, err)
	meta, err := build.Meta()
	require.NoError(t, err)
	return world{w, build, meta.OSTreeCommit}
}

// compose builds the commit of a config.
func (w work) compose(t testing.TB, config string) {
	t.Helper()
	pool := os.Getenv("NOSA_POOL")
	if pool == "" {
		testkit.Miss(t, "NOSA_POOL does not say where the packages are; run make test-all")
	}
	repos := filepath.Join(filepath.Dir(w.dir), "yumrepos")
	require.NoError(t, os.Mkdir(w.dir, 0o755))
	require.NoError(t, os.Mkdir(repos, 0o755))
	repo := "[pool]\nname=pool\nbaseurl=file://" + pool + "\ngpgcheck=0\n"
	require.NoError(t, os.WriteFile(filepath.Join(repos, "pool.repo"), []byte(repo), 0o644))
	w.nosa(t, "init", "--transient", "--yumrepos", repos, config)
	w.nosa(t, "fetch")
	w.nosa(t, "build", "container")
}

func host(t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: name, Args: args, Dir: dir})
	require.NoError(t, err, "%s %s", name, strings.Join(args, " "))
	return string(out)
}

func (w world) image(t testing.TB, name string) string {
	t.Helper()
	_, path, err := w.build.Image(name)
	require.NoError(t, err)
	return path
}

func TestMetalBoots(t *testing.T) {
	w := newWorld(t)
	for _, firmware := range []firmware{bios, uefi} {
		t.Run(string(firmware), func(t *testing.T) { w.diskBoots(t, "metal", firmware, 512) })
	}
}

// A root of another file system than the example's becomes one of its own, and
// grows, as that does.
func TestOtherRootsBoot(t *testing.T) {
	need(t)
	config := filepath.Join(t.TempDir(), "config")
	host(t, "", "cp", "-r", "../../examples/nestos-mini", config)
	edit(t, filepath.Join(config, "manifests/boot.yaml"), "  - e2fsprogs ", "  - xfsprogs btrfs-progs e2fsprogs ")
	work := program(t, t.TempDir())
	work.compose(t, config)
	before := "ext4"
	for _, root := range []struct {
		filesystem string
		firmware   firmware
	}{{"xfs", uefi}, {"btrfs", bios}} {
		t.Run(root.filesystem, func(t *testing.T) {
			edit(t, filepath.Join(config, "image.yaml"), "rootfs: "+before+"\n", "rootfs: "+root.filesystem+"\n")
			before = root.filesystem
			work.nosa(t, "build", "container")
			work.nosa(t, "buildextend-metal")
			boots := work.newest(t).diskBoots(t, "metal", root.firmware, 512)
			require.Equal(t, root.filesystem, boots[0].one("root-type"))
			require.Equal(t, root.filesystem, boots[1].one("root-type"))
		})
	}
}

// edit changes one place of a file.
func edit(t *testing.T, path, old, new string) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(text), old), "%s in %s", old, path)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o644))
}

// What the first boot recognises as fresh from the build (package image).
const (
	builtDisk = "00000000-0000-4000-A000-000000000001"
	builtBoot = "96d15588-3596-4b3c-adca-a2ff7279ea63"
	builtRoot = "910678ff-f77e-4a7d-8d53-86f2ac47a823"
)

const diskGiB = 6

// diskBoots writes an image to a larger disk, with a config as an installer
// leaves it, and boots that twice.
func (w world) diskBoots(t *testing.T, kind string, firmware firmware, sector int) []facts {
	path := filepath.Join(t.TempDir(), "disk.raw")
	host(t, "", "cp", "--sparse=always", w.image(t, kind), path)
	require.NoError(t, os.Truncate(path, diskGiB<<30))
	config := filepath.Join(t.TempDir(), "config.ign")
	require.NoError(t, os.WriteFile(config, ignition(t, kind+" config"), 0o600))
	commands := filepath.Join(t.TempDir(), "commands")
	require.NoError(t, os.WriteFile(commands, []byte("mkdir /ignition\nwrite "+config+" /ignition/config.ign\n"), 0o600))
	const bootPartition = 129 << 20
	host(t, "", "debugfs", "-w", "-f", commands, path+"?offset="+strconv.Itoa(bootPartition))

	boots := run(t, guest{firmware: firmware, media: disk(sector)(path)})

	w.checkDiskBoots(t, boots, kind+" config")
	require.Equal(t, strconv.Itoa(sector), boots[0].one("sector"))
	return boots
}

// checkDiskBoots checks what the first and the second boot of a disk tell.
func (w world) checkDiskBoots(t *testing.T, boots []facts, config string) {
	t.Helper()
	require.Len(t, boots, 2)
	first, second := boots[0], boots[1]
	for _, boot := range boots {
		require.Empty(t, boot["failed"])
		require.Equal(t, "running", boot.one("state"))
		require.Equal(t, w.commit, boot.one("commit"))
		require.Equal(t, config, boot.one("config"))
		require.Equal(t, "/dev/vda /dev/vda", boot.one("boot-disk"))
	}
	require.Contains(t, first.one("cmdline"), "ignition.firstboot")
	size, err := strconv.ParseInt(first.one("root-size"), 10, 64)
	require.NoError(t, err)
	require.Greater(t, size, int64(diskGiB-1)<<30, "root is grown to the disk")

	require.NotContains(t, second.one("cmdline"), "ignition.firstboot")
	require.Empty(t, second["stamp"], "what belongs to the first boot is gone")
	for _, key := range []string{"disk-guid", "boot-uuid", "root-uuid"} {
		require.Len(t, second[key], 1)
		require.NotEmpty(t, second.one(key))
	}
	require.NotEqual(t, builtDisk, second.one("disk-guid"))
	require.NotEqual(t, builtBoot, second.one("boot-uuid"))
	require.NotEqual(t, builtRoot, second.one("root-uuid"))
	require.Contains(t, second.one("cmdline"), "root=UUID="+second.one("root-uuid")+" rw")
	require.Contains(t, second.one("cmdline"), "boot=UUID="+second.one("boot-uuid"))
	require.Equal(t, second.one("root-uuid"), second.one("root-stamp"))
	require.Equal(t, "No problems found.", second.one("table"))
}
