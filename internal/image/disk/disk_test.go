package disk_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/image/disk"
	"github.com/nestos/nosa-actions/internal/image/imagetest"
	"github.com/nestos/nosa-actions/internal/imageconf"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

var platforms = imageconf.Platforms{"x86_64": {"qemu": {
	GrubCommands:    []string{"serial --speed=115200", "terminal_input serial console", "terminal_output serial console"},
	KernelArguments: []string{"console=tty0", "console=ttyS0,115200n8"},
}}}

// config is an image.yaml with a few more lines.
func config(t testing.TB, more string) *imageconf.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.yaml")
	require.NoError(t, os.WriteFile(path, []byte("extra-kargs: [\"mitigations=auto,nosmt\"]\n"+more), 0o644))
	c, err := imageconf.Load(path)
	require.NoError(t, err)
	return c
}

// request is what a test asks for: one image.
type request struct {
	disk.Source
	Kind   image.Kind
	Output string
}

// write makes the image, as the only one of its call.
func (r request) write(ctx context.Context, run tool.Runner) error {
	s, err := disk.Deploy(ctx, run, nil, r.Source, r.Kind)
	if err != nil {
		return err
	}
	_, err = s.Write(ctx, nil, r.Kind, r.Output)
	return errors.Join(err, s.Close())
}

// checkBegun goes on with the checksum of an image to its end.
func checkBegun(begun disk.Begun, kind image.Kind, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if raw := kind != image.QEMU; raw != (begun.Bytes > 100<<20) {
		return fmt.Errorf("%d bytes of the %s image were summed", begun.Bytes, kind)
	}
	if kind == image.QEMU {
		return nil
	}
	begun.SHA256.Write(content[begun.Bytes:])
	if want := sha256.Sum256(content); !bytes.Equal(want[:], begun.SHA256.Sum(nil)) {
		return fmt.Errorf("the first %d bytes of the %s image were summed wrongly", begun.Bytes, kind)
	}
	return nil
}

// input asks for an image of the small tree.
func input(t *testing.T, kind image.Kind, yaml string) request {
	t.Helper()
	repo, checksum := smallCommit(t)
	return inputOf(t, repo, checksum, kind, yaml)
}

func inputOf(t *testing.T, repo, checksum string, kind image.Kind, yaml string) request {
	t.Helper()
	testkit.NeedTool(t, "ostree", "mke2fs", "debugfs", "e2fsck", "mkfs.vfat", "fsck.vfat", "mcopy", "mdir", "mtype",
		"grub-mkimage", "bwrap", "qemu-img", "sgdisk", "fdisk", "blkid")
	dir := t.TempDir()
	return request{Kind: kind, Output: filepath.Join(dir, "image"), Source: disk.Source{
		Repo: repo, Commit: checksum, Ref: imagetest.Ref, Stateroot: "nestos", BuildID: "1.0",
		Config: config(t, yaml), Platforms: platforms, Arch: arch.X86_64, Scratch: filepath.Join(dir, "scratch"),
	}}
}

func TestQEMUImageBootsUnderBothFirmwares(t *testing.T) {
	in := input(t, image.QEMU, "size: 2\nrootfs: ext4\nostree-remote: openEuler\n")

	require.NoError(t, in.write(t.Context(), tool.Host{}))

	require.Contains(t, host(t, "qemu-img", "check", in.Output), "No errors were found")
	info := host(t, "qemu-img", "info", in.Output)
	require.Contains(t, info, "file format: qcow2")
	require.Contains(t, info, "virtual size: 2 GiB")
	require.NoDirExists(t, in.Scratch)
	args := imagetest.CommandLine(t, imagetest.BIOS(), imagetest.Disk("qcow2", in.Output, 512))
	require.Equal(t, []string{
		"mitigations=auto,nosmt", "ignition.platform.id=qemu", "console=tty0", "console=ttyS0,115200n8", "ignition.firstboot",
	}, args[1:6])
	require.True(t, strings.HasPrefix(args[6], "ostree=/ostree/boot.1/nestos/"), args[6])
	require.Len(t, args, 7)

	// What the first boot does at its end; the second one knows nothing of it.
	raw := filepath.Join(t.TempDir(), "raw")
	host(t, "qemu-img", "convert", "-O", "raw", in.Output, raw)
	host(t, "debugfs", "-w", "-R", "rm /ignition.firstboot", open(t, raw, 512).at(image.BootPartition))
	second := imagetest.CommandLine(t, imagetest.UEFI(t), imagetest.Disk("raw", raw, 512))
	require.Equal(t, slices.Delete(slices.Clone(args), 5, 6), second)
}

func TestMetalImageSatisfiesItsJudges(t *testing.T) {
	in := input(t, image.Metal, "rootfs: ext4\nostree-remote: openEuler\n")

	require.NoError(t, in.write(t.Context(), tool.Host{}))

	img := open(t, in.Output, 512)
	require.Contains(t, host(t, "sgdisk", "-v", in.Output), "No problems found.")
	table := host(t, "sgdisk", "-p", in.Output)
	require.Contains(t, table, "Disk identifier (GUID): 00000000-0000-4000-A000-000000000001")
	require.Equal(t, []string{
		"1 2048 4095 1024.0 KiB EF02 BIOS-BOOT", "2 4096 264191 127.0 MiB EF00 EFI-SYSTEM",
		"3 264192 1050623 384.0 MiB 8300 boot",
	}, partitionLines(table)[:3])
	img.checkFilesystems(t)

	require.Equal(t, "{\n\t\"build\": \"1.0\",\n\t\"ref\": \""+imagetest.Ref+"\",\n\t\"ostree-commit\": \""+in.Commit+
		"\",\n\t\"imgid\": \"nestos-1.0-metal.x86_64.raw\"\n}", img.cat(t, image.RootPartition, "/.nestos-aleph-version.json"))
	require.Contains(t, img.stat(t, image.RootPartition, "/"), "Flags: 0x80010")
	deployment := "/ostree/deploy/nestos/deploy/" + in.Commit + ".0"
	require.Contains(t, img.stat(t, image.RootPartition, deployment), "Flags: 0x80010")
	require.Equal(t, "[origin]\nrefspec=openEuler:"+imagetest.Ref, img.cat(t, image.RootPartition, deployment+".origin"))
	require.Contains(t, img.stat(t, image.RootPartition, deployment+"/usr/bin/tool"), "Mode:  04755")
	require.Contains(t, img.stat(t, image.RootPartition, deployment+"/usr/bin/tool"), "Links: 2")
	require.Contains(t, img.stat(t, image.RootPartition, deployment+"/etc/skel"), "User:     7   Group:     8")

	require.Contains(t, img.stat(t, image.BootPartition, "/grub2"), "Mode:  0700")
	require.Contains(t, img.stat(t, image.BootPartition, "/ignition.firstboot"), "Size: 0")
	require.NotContains(t, img.cat(t, image.BootPartition, "/grub2/grub.cfg"), "serial --speed", "metal has no console settings")
	require.JSONEq(t, `{"qemu": {
		"grub_commands": ["serial --speed=115200", "terminal_input serial console", "terminal_output serial console"],
		"kernel_arguments": ["console=tty0", "console=ttyS0,115200n8"]}}`, img.cat(t, image.BootPartition, "/nestos/platforms.json"))

	root := img.sysroot(t)
	host(t, "ostree", "fsck", "--repo="+root+"/ostree/repo")
	require.Contains(t, host(t, "ostree", "admin", "status", "--sysroot="+root), "nestos "+in.Commit+".0")
	for key, value := range map[string]string{
		"sysroot.readonly": "true", "sysroot.bootloader": "syslinux", "sysroot.bls-append-except-default": `grub_users=""`,
	} {
		require.Equal(t, value, host(t, "ostree", "config", "--repo="+root+"/ostree/repo", "get", key))
	}
}

func TestMetal4kImageBootsFromLargeSectors(t *testing.T) {
	in := input(t, image.Metal4k, "rootfs: ext4\n")

	require.NoError(t, in.write(t.Context(), tool.Host{}))

	img := open(t, in.Output, 4096)
	img.checkFilesystems(t)
	table := host(t, "fdisk", "-b", "4096", "-l", in.Output)
	require.Contains(t, table, "Disk identifier: 00000000-0000-4000-A000-000000000001")
	require.Contains(t, table, "BIOS boot")
	boot := make([]byte, 440)
	f, err := os.Open(in.Output)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.ReadAt(boot, 0)
	require.NoError(t, err)
	require.Equal(t, make([]byte, 440), boot, "no BIOS loader on 4k sectors")

	args := imagetest.CommandLine(t, imagetest.UEFI(t), imagetest.Disk("raw", in.Output, 4096))
	require.Equal(t, []string{"mitigations=auto,nosmt", "ignition.platform.id=metal", "ignition.firstboot"}, args[1:4])
	deployment := "/ostree/deploy/nestos/deploy/" + in.Commit + ".0"
	require.Equal(t, "[origin]\nrefspec="+in.Commit, img.cat(t, image.RootPartition, deployment+".origin"))
}

func TestRootThatNoToolFillsIsMadeThroughAPrivateMount(t *testing.T) {
	for name, judge := range map[string][]string{
		"xfs":   {"xfs_repair", "-n", "-f"},
		"btrfs": {"btrfs", "check", "--readonly"},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.NeedTool(t, "mkfs."+name, judge[0], "unshare")
			testkit.NeedFilesystem(t, name)
			in := input(t, image.Metal, "rootfs: "+name+"\n")

			require.NoError(t, in.write(t.Context(), tool.Host{}))

			img := open(t, in.Output, 512)
			root := img.partition(t, image.RootPartition)
			host(t, judge[0], append(judge[1:], root)...)
			blkid := host(t, "blkid", "-p", root)
			for _, want := range []string{`TYPE="` + name + `"`, `LABEL="root"`, `UUID="910678ff-f77e-4a7d-8d53-86f2ac47a823"`} {
				require.Contains(t, blkid, want)
			}
			dir := img.sysroot(t)
			require.FileExists(t, filepath.Join(dir, ".nestos-aleph-version.json"))
			host(t, "ostree", "fsck", "--repo="+dir+"/ostree/repo")
			flags := img.onRoot(t, `lsattr -d "$1" "$1"/ostree/deploy/nestos/deploy/*.0`)
			require.Regexp(t, `(?m)^-+i-+ .*\n-+i-+ .*$`, flags, "root and deployment are immutable")
			mounts, err := os.ReadFile("/proc/self/mounts")
			require.NoError(t, err)
			require.NotContains(t, string(mounts), in.Scratch)
		})
	}
}

func TestVerityIsAFeatureOfBothFilesystems(t *testing.T) {
	in := input(t, image.Metal, "rootfs: ext4verity\nbootfs: ext4verity\nbootfs_metadata_csum_seed: true\n")

	require.NoError(t, in.write(t.Context(), tool.Host{}))

	img := open(t, in.Output, 512)
	for number, want := range map[int][]string{
		image.RootPartition: {"verity"}, image.BootPartition: {"verity", "metadata_csum_seed"},
	} {
		features := host(t, "debugfs", "-R", "features", img.at(number))
		for _, feature := range want {
			require.Contains(t, strings.Fields(features), feature)
		}
	}
	require.Contains(t, img.cat(t, image.RootPartition, "/ostree/repo/config"), "[ex-fsverity]\nrequired=true")
}

// All images of one call have the same root file system but for the file that
// says which image it is; each is written at the same time as the others.
func TestImagesShareOneDeployment(t *testing.T) {
	for _, filesystem := range []string{"ext4", "xfs", "btrfs"} {
		t.Run(filesystem, func(t *testing.T) {
			testkit.NeedFilesystem(t, filesystem)
			in := input(t, image.QEMU, "size: 2\nrootfs: "+filesystem+"\n")
			kinds := []image.Kind{image.QEMU, image.Metal, image.Metal4k}
			s, err := disk.Deploy(t.Context(), tool.Host{}, nil, in.Source, kinds...)
			require.NoError(t, err)
			defer s.Close()
			output := func(kind image.Kind) string { return in.Output + "-" + string(kind) }
			group, ctx := errgroup.WithContext(t.Context())
			for _, kind := range kinds {
				group.Go(func() error {
					begun, err := s.Write(ctx, nil, kind, output(kind))
					if err != nil {
						return err
					}
					return checkBegun(begun, kind, output(kind))
				})
			}
			require.NoError(t, group.Wait())

			raw := output(image.QEMU) + ".raw"
			host(t, "qemu-img", "convert", "-O", "raw", output(image.QEMU), raw)
			for kind, img := range map[image.Kind]rawImage{
				image.QEMU: open(t, raw, 512), image.Metal: open(t, output(image.Metal), 512), image.Metal4k: open(t, output(image.Metal4k), 4096),
			} {
				root := img.sysroot(t)
				aleph, err := os.ReadFile(root + "/.nestos-aleph-version.json")
				require.NoError(t, err)
				require.Contains(t, string(aleph), `"imgid": "nestos-1.0-`+string(kind)+`.x86_64.`)
				entry := host(t, "sh", "-c", "cat "+root+"/boot/loader/entries/*.conf")
				require.Contains(t, entry, "ignition.platform.id="+kind.Traits().Platform)
				host(t, "ostree", "fsck", "--repo="+root+"/ostree/repo")
				if filesystem == "xfs" { // else the larger disks could not mount it
					require.Equal(t, "sectsize = 4096", host(t, "xfs_db", "-r", "-c", "sb 0", "-c", "p sectsize", img.partition(t, image.RootPartition)))
				}
			}
		})
	}
}

func TestAarch64HasNoBIOS(t *testing.T) {
	tree := imagetest.SmallTree(t)
	payload := filepath.Join(tree, "usr/lib/bootupd/updates/EFI")
	for name, content := range map[string]string{
		"BOOT/BOOTAA64.EFI": "shim", "openEuler/grubaa64.efi": "grub", "../EFI.json": `{"version":"1"}`,
	} {
		path := filepath.Join(payload, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	repo, checksum := imagetest.Commit(t, t.TempDir(), tree)
	in := inputOf(t, repo, checksum, image.Metal, "rootfs: ext4\n")
	in.Arch = arch.AArch64

	require.NoError(t, in.write(t.Context(), tool.Host{}))

	img := open(t, in.Output, 512)
	require.Contains(t, host(t, "sgdisk", "-v", in.Output), "No problems found.")
	require.Equal(t, "1 2048 4095 1024.0 KiB 8301 reserved", partitionLines(host(t, "sgdisk", "-p", in.Output))[0])
	esp := img.partition(t, image.ESPPartition)
	require.Equal(t, "shim", host(t, "mtype", "-i", esp, "::/EFI/BOOT/BOOTAA64.EFI"))
	require.NotContains(t, host(t, "debugfs", "-R", "ls -p /grub2", img.at(image.BootPartition)), "i386-pc")
	code := make([]byte, 440)
	f, err := os.Open(in.Output)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.ReadAt(code, 0)
	require.NoError(t, err)
	require.Equal(t, make([]byte, 440), code, "no boot code in the first sector")
}

func TestBootupdPayloadGoesToTheESP(t *testing.T) {
	tree := imagetest.SmallTree(t)
	payload := filepath.Join(tree, "usr/lib/bootupd/updates/EFI")
	for name, content := range map[string]string{
		"BOOT/BOOTX64.EFI": "shim", "BOOT/fbx64.efi": "fallback", "openEuler/grubx64.efi": "grub", "../EFI.json": `{"timestamp":"2025-01-14T00:00:00Z","version":"grub2-2.12,shim-15"}`,
	} {
		path := filepath.Join(payload, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	require.NoError(t, os.RemoveAll(filepath.Join(tree, "usr/lib/grub/x86_64-efi")))
	repo, checksum := imagetest.Commit(t, t.TempDir(), tree)
	in := inputOf(t, repo, checksum, image.Metal, "rootfs: ext4\ncomposefs: true\n")

	require.NoError(t, in.write(t.Context(), tool.Host{}))

	img := open(t, in.Output, 512)
	esp := img.partition(t, image.ESPPartition)
	require.Equal(t, "shim", host(t, "mtype", "-i", esp, "::/EFI/BOOT/BOOTX64.EFI"))
	require.Equal(t, "grub", host(t, "mtype", "-i", esp, "::/EFI/openEuler/grubx64.efi"))
	require.Contains(t, host(t, "mtype", "-i", esp, "::/EFI/openEuler/grub.cfg"), "search --label boot")
	state := img.cat(t, image.BootPartition, "/bootupd-state.json")
	require.Contains(t, state, `{"installed":{"EFI":{"meta":{"timestamp":"2025-01-14T00:00:00Z","version":"grub2-2.12,shim-15"}`)
	require.Contains(t, state, `"openEuler/grubx64.efi":{"size":4,"sha512":"sha512:`)

	// Such a tree's GRUB reads boot entries, so ostree writes nothing else.
	require.NotContains(t, host(t, "debugfs", "-R", "ls -p /loader.1", img.at(image.BootPartition)), "syslinux.cfg")
	root := img.sysroot(t)
	for key, value := range map[string]string{"sysroot.bootloader": "none", "ex-integrity.composefs": "true"} {
		require.Equal(t, value, host(t, "ostree", "config", "--repo="+root+"/ostree/repo", "get", key))
	}
}

func TestOpenStackImageIsTheQEMUImageWithAnotherPlatform(t *testing.T) {
	qemu := input(t, image.QEMU, "size: 2\nrootfs: ext4\n")
	qemu.Platforms = imageconf.Platforms{"x86_64": {
		"qemu": platforms["x86_64"]["qemu"],
		"openstack": {
			GrubCommands:    []string{"serial --speed=9600"},
			KernelArguments: []string{"console=ttyS0,115200n8", "console=tty0"},
		},
	}}
	require.NoError(t, qemu.write(t.Context(), tool.Host{}))
	dir := t.TempDir()
	output := filepath.Join(dir, "openstack.qcow2")

	require.NoError(t, disk.Derive(t.Context(), tool.Host{}, nil, disk.Derivation{
		Source: qemu.Output, Kind: image.OpenStack, Scratch: filepath.Join(dir, "scratch"), Output: output,
	}))

	require.Contains(t, host(t, "qemu-img", "check", output), "No errors were found")
	args := imagetest.CommandLine(t, imagetest.BIOS(), imagetest.Disk("qcow2", output, 512))
	require.Equal(t, "mitigations=auto,nosmt", args[1])
	require.Equal(t, "ignition.firstboot", args[2])
	require.Equal(t, []string{"ignition.platform.id=openstack", "console=ttyS0,115200n8", "console=tty0"}, args[4:])
	disk := filepath.Join(dir, "raw")
	host(t, "qemu-img", "convert", "-O", "raw", output, disk)
	img := open(t, disk, 512)
	script := img.cat(t, image.BootPartition, "/grub2/grub.cfg")
	require.Contains(t, script, imageconf.ConsoleStart+"\nserial --speed=9600\n"+imageconf.ConsoleEnd+"\n")
	require.NotContains(t, script, "terminal_input")
	root := img.sysroot(t)
	require.Contains(t, host(t, "sh", "-c", "cat "+root+"/boot/loader/entries/*.conf"), "ignition.platform.id=openstack")
	aleph, err := os.ReadFile(root + "/.nestos-aleph-version.json")
	require.NoError(t, err)
	require.Contains(t, string(aleph), "nestos-1.0-qemu.x86_64.qcow2", "what it was made from")
	require.NoDirExists(t, filepath.Join(dir, "scratch"))
}

func TestWhatCannotBeMadeLeavesNothing(t *testing.T) {
	bare := imagetest.SmallTree(t)
	require.NoError(t, os.RemoveAll(filepath.Join(bare, "usr/lib/grub")))
	repo, checksum := imagetest.Commit(t, t.TempDir(), bare)
	whole := inputOf(t, repo, checksum, image.QEMU, "")
	for name, c := range map[string]struct {
		yaml   string
		change func(*request)
		want   string
	}{
		"no loader":      {"size: 2\n", func(*request) {}, "the tree has no boot loader for UEFI"},
		"unknown commit": {"size: 2\n", func(in *request) { in.Commit = strings.Repeat("0", 64) }, "pulling commit 0000"},
		"no size":        {"", func(*request) {}, "size"},
		"remote, no ref": {"size: 2\nostree-remote: openEuler\n", func(in *request) { in.Ref = "" }, "ostree-remote"},
		"unknown kind":   {"", func(in *request) { in.Kind = "floppy" }, `unknown kind of disk image "floppy"`},
	} {
		t.Run(name, func(t *testing.T) {
			in := whole
			in.Config = config(t, "rootfs: ext4\n"+c.yaml)
			c.change(&in)

			err := in.write(t.Context(), tool.Host{})

			require.ErrorContains(t, err, c.want)
			require.NoDirExists(t, in.Scratch)
			left, err := filepath.Glob(filepath.Join(filepath.Dir(in.Output), "*image*"))
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

func TestCancelledWriteLeavesNothing(t *testing.T) {
	in := input(t, image.Metal, "rootfs: ext4\n")
	ctx, cancel := context.WithCancel(t.Context())
	r := before{Runner: tool.Host{}, name: "mkfs.vfat", do: func(tool.Cmd) error { cancel(); return nil }}

	err := in.write(ctx, r)

	require.ErrorIs(t, err, context.Canceled)
	require.NoDirExists(t, in.Scratch)
	require.NoFileExists(t, in.Output)
}

// before does something when a certain program is to start.
type before struct {
	tool.Runner
	name string
	do   func(tool.Cmd) error
}

func (r before) Run(ctx context.Context, c tool.Cmd) ([]byte, error) {
	if c.Name == r.name {
		if err := r.do(c); err != nil {
			return nil, err
		}
	}
	return r.Runner.Run(ctx, c)
}
