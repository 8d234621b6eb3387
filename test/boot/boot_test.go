// Package boot_test boots every image that the example's config gives, in the
// ways that people boot it: metal disks under BIOS and UEFI, the live ISO as CD
// and as disk, PXE, and an unattended installation. Each guest runs a script that
// tells what it found and ends the guest.
//
// It takes minutes for each guest where there is no KVM, so it runs only where
// NOSA_TEST_BOOT is set, as make test-all does. NOSA_BOOT_WORKDIR names a work
// directory whose newest build has the images; without it one is composed. Roots
// of other file systems than the example's are those of another system, which has
// the programs for them; that is always composed.
package boot_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// world is the build that is booted.
type world struct {
	build  workdir.Build
	commit string
}

func newWorld(t *testing.T) world {
	t.Helper()
	need(t)
	dir := os.Getenv("NOSA_BOOT_WORKDIR")
	if dir == "" {
		config, err := filepath.Abs("../../examples/nestos-mini")
		require.NoError(t, err)
		work := compose(t, config)
		work.nosa(t, "buildextend", "metal", "metal4k", "live", "--fast")
		dir = work.dir
	}
	return open(t, dir)
}

func need(t *testing.T) {
	t.Helper()
	if os.Getenv("NOSA_TEST_BOOT") == "" {
		t.Skip("boots many guests; make test-all sets NOSA_TEST_BOOT")
	}
	testkit.NeedRoot(t)
	testkit.NeedTool(t, "qemu-system-x86_64", "qemu-img", "xorriso", "cpio", "xz", "debugfs", "dnf", "ostree", "mksquashfs")
}

func open(t *testing.T, dir string) world {
	t.Helper()
	d, err := workdir.Open(dir, arch.X86_64)
	require.NoError(t, err)
	build, err := d.Latest()
	require.NoError(t, err)
	meta, err := build.Meta()
	require.NoError(t, err)
	return world{build, meta.OSTreeCommit}
}

// work is a work directory with the program that fills it.
type work struct{ program, dir string }

func (w work) nosa(t *testing.T, args ...string) {
	t.Helper()
	host(t, w.dir, w.program, args...)
}

// compose builds the commit of a config.
func compose(t *testing.T, config string) work {
	t.Helper()
	pool := os.Getenv("NOSA_POOL")
	if pool == "" {
		testkit.Miss(t, "NOSA_POOL does not say where the packages are; run make test-all")
	}
	root := t.TempDir()
	w := work{filepath.Join(root, "nosa"), filepath.Join(root, "work")}
	repos := filepath.Join(root, "yumrepos")
	host(t, "", "go", "build", "-o", w.program, "../../cmd/nosa")
	require.NoError(t, os.Mkdir(w.dir, 0o755))
	require.NoError(t, os.Mkdir(repos, 0o755))
	repo := "[pool]\nname=pool\nbaseurl=file://" + pool + "\ngpgcheck=0\n"
	require.NoError(t, os.WriteFile(filepath.Join(repos, "pool.repo"), []byte(repo), 0o644))
	w.nosa(t, "init", "--transient", "--yumrepos", repos, config)
	w.nosa(t, "fetch")
	w.nosa(t, "build", "container")
	return w
}

func host(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: name, Args: args, Dir: dir})
	require.NoError(t, err, "%s %s", name, strings.Join(args, " "))
	return string(out)
}

func (w world) image(t *testing.T, name string) string {
	t.Helper()
	_, path, err := w.build.Image(name)
	require.NoError(t, err)
	return path
}

func TestBoots(t *testing.T) {
	w := newWorld(t)
	for name, boot := range map[string]func(*testing.T, world){
		"metal under BIOS":        func(t *testing.T, w world) { w.diskBoots(t, "metal", bios, 512) },
		"metal under UEFI":        func(t *testing.T, w world) { w.diskBoots(t, "metal", uefi, 512) },
		"ISO as CD under BIOS":    func(t *testing.T, w world) { w.isoBoots(t, bios, cdrom, "") },
		"ISO as CD under UEFI":    func(t *testing.T, w world) { w.isoBoots(t, uefi, cdrom, "") },
		"ISO as disk from RAM":    func(t *testing.T, w world) { w.isoBoots(t, uefi, disk(512), "nestos.liveiso.fromram") },
		"PXE with root by URL":    func(t *testing.T, w world) { w.pxeBoots(t, true) },
		"PXE with root as initrd": func(t *testing.T, w world) { w.pxeBoots(t, false) },
		// The image itself boots as it is installed.
		"unattended installation of metal":   func(t *testing.T, w world) { w.installs(t, 512, bios) },
		"unattended installation of metal4k": func(t *testing.T, w world) { w.installs(t, 4096, uefi) },
	} {
		t.Run(name, func(t *testing.T) { boot(t, w) })
	}
}

// A root of another file system than the example's becomes one of its own, and
// grows, as that does.
func TestOtherRootsBoot(t *testing.T) {
	need(t)
	config := filepath.Join(t.TempDir(), "config")
	host(t, "", "cp", "-r", "../../examples/nestos-mini", config)
	edit(t, filepath.Join(config, "manifests/boot.yaml"), "  - e2fsprogs ", "  - xfsprogs btrfs-progs e2fsprogs ")
	work := compose(t, config)
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
			boots := open(t, work.dir).diskBoots(t, "metal", root.firmware, 512)
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
	require.NoError(t, os.WriteFile(config, ignition(t, kind+" config", "reboot"), 0o600))
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
		require.Empty(t, boot["live"])
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

// isoBoots boots the ISO with a config and more kernel arguments put into it.
func (w world) isoBoots(t *testing.T, firmware firmware, medium func(string) []string, args string) {
	iso := w.copyISO(t)
	iso.embedConfig(t, ignition(t, "embedded config", "poweroff"))
	iso.addKargs(t, args)

	boots := run(t, guest{firmware: firmware, media: medium(iso.path), memoryMiB: 3072})

	w.checkLive(t, boots, "embedded config")
}

func (w world) checkLive(t *testing.T, boots []facts, config string) {
	t.Helper()
	require.Len(t, boots, 1)
	require.Empty(t, boots[0]["failed"])
	require.Equal(t, "running", boots[0].one("state"))
	require.Equal(t, w.commit, boots[0].one("commit"))
	require.Equal(t, config, boots[0].one("config"))
	require.Equal(t, "yes", boots[0].one("live"))
	require.Equal(t, "squashfs", boots[0].one("root-type"))
}

// pxeBoots boots by the network card's own iPXE.
func (w world) pxeBoots(t *testing.T, byURL bool) {
	dir := t.TempDir()
	for name, artifact := range map[string]string{"vmlinuz": "live-kernel", "initrd.img": "live-initramfs", "rootfs.img": "live-rootfs"} {
		require.NoError(t, os.Symlink(w.image(t, artifact), filepath.Join(dir, name)))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.ign"), ignition(t, "config by network", "poweroff"), 0o644))
	url := serve(t, dir)
	args := "ignition.firstboot ignition.platform.id=metal ignition.config.url=" + url + "/config.ign console=tty0 console=ttyS0,115200n8"
	script := "#!ipxe\n"
	if byURL {
		script += "kernel vmlinuz initrd=initrd.img nestos.live.rootfs_url=" + url + "/rootfs.img " + args + "\ninitrd initrd.img\n"
	} else {
		script += "kernel vmlinuz initrd=initrd.img initrd=rootfs.img " + args + "\ninitrd initrd.img\ninitrd " + url + "/rootfs.img\n"
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "boot.ipxe"), []byte(script+"boot\n"), 0o644))

	boots := run(t, guest{firmware: bios, tftp: dir, memoryMiB: 4096})

	w.checkLive(t, boots, "config by network")
}

// installs lets the ISO install to an empty disk, and boots that.
func (w world) installs(t *testing.T, sector int, firmware firmware) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.ign"), ignition(t, "config given to the installer", "reboot"), 0o644))
	iso := w.copyISO(t)
	iso.addKargs(t, "nestos.inst.install_dev=/dev/vda nestos.inst.ignition_url="+serve(t, dir)+"/config.ign")
	empty := filepath.Join(t.TempDir(), "disk.raw")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	require.NoError(t, os.Truncate(empty, diskGiB<<30))

	run(t, guest{firmware: uefi, media: append(cdrom(iso.path), disk(sector)(empty)...), once: true})
	boots := run(t, guest{firmware: firmware, media: disk(sector)(empty)})

	w.checkDiskBoots(t, boots, "config given to the installer")
	require.Equal(t, strconv.Itoa(sector), boots[0].one("sector"))
}
