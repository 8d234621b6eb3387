// Package live makes what boots without being installed: a hybrid ISO for CD and
// USB, BIOS and UEFI, and the kernel, initramfs and root of the same system for
// PXE. On board are the metal images, with a service that writes the one that
// fits to a disk.
//
// How the pieces lie and are found again follows what nestos-installer and the
// initramfs of NestOS rely on.
package live

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/image/disk"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Input says what to make and from what.
type Input struct {
	Sysroot *disk.Sysroot // of the build, with a plan for the metal image
	Done    func()        // told when the sysroot is not needed any more; may be nil
	// Payloads waits for the images that the installer writes, the metal image
	// first. It is called once, beside other work.
	Payloads func(context.Context) ([]Payload, error)
	// ConfigDir holds the config's own files of the ISO, among them the boot
	// menus, with their place in the ISO: src/config/live.
	ConfigDir string
	// Fast trades size for time: for tests, not for release.
	Fast bool
	// Fixture puts short texts in the place of all that is large, for tests of
	// installers. No payload is asked for.
	Fixture bool

	// Scratch is a directory for intermediate files, made if missing. It needs
	// room for twice the compressed system and the compressed payloads.
	Scratch string
	// OutputDir receives the artifacts, under their final names.
	OutputDir string
	// Made is told of each artifact when it is whole, of several at a time; what it
	// returns ends the work. It may be nil.
	Made func(artifact, path string) error
}

// Artifacts are the files that were made, by their keys in the metadata.
type Artifacts map[string]string

// Keys of the artifacts.
const (
	ISO       = "live-iso"
	Kernel    = "live-kernel"
	Initramfs = "live-initramfs"
	Rootfs    = "live-rootfs"
)

// builder makes one set of artifacts.
type builder struct {
	Input
	run    tool.Runner
	kernel string // directory of the kernel in the deployment
	tree   string // what becomes the ISO
	volID  string
	kargs  string // of the live system
}

// copies is how much room the work takes at most, by the size of the tree: its
// squashfs and the payload, which is as large if it is not in pieces, as they are,
// in rootfs.img and in the ISO. Each is about half as large as the tree.
const copies = 3

// Check refuses, before any work, what the artifacts cannot be made from.
func Check(configDir string, a arch.Arch) error {
	if err := tool.Need("mksquashfs", "xorriso", "zstd", "mkfs.vfat", "mcopy", "unshare", "mount"); err != nil {
		return err
	}
	if info, err := os.Stat(configDir); err != nil || !info.IsDir() {
		return errors.New("live images need the boot menus of the config: directory live with isolinux/isolinux.cfg and EFI/VENDOR/grub.cfg")
	}
	if a == arch.X86_64 {
		if _, err := findIsolinux(); err != nil {
			return err
		}
	}
	return nil
}

// Write makes the artifacts, named as the metadata wants them. They are whole
// when it returns without an error.
func Write(ctx context.Context, r tool.Runner, log *progress.Log, in Input) (Artifacts, error) {
	b := &builder{Input: in, run: r, tree: filepath.Join(in.Scratch, "iso"), volID: volumeID(in.Sysroot)}
	if err := checkVolumeID(b.volID); err != nil {
		return nil, err
	}
	b.kargs = liveKargs(in.Sysroot.Plan(image.Metal).Kargs, b.volID)
	kernels, err := filepath.Glob(filepath.Join(in.Sysroot.Deployment, "usr/lib/modules/*/vmlinuz"))
	if err != nil {
		return nil, err
	}
	if len(kernels) != 1 {
		return nil, fmt.Errorf("the tree has %d kernels instead of one", len(kernels))
	}
	b.kernel = filepath.Dir(kernels[0])
	if err := os.MkdirAll(in.Scratch, 0o755); err != nil {
		return nil, err
	}
	if err := in.Sysroot.CheckSpace(in.Scratch, copies); err != nil {
		return nil, err
	}
	dirs := []string{"EFI", "images/pxeboot", "nestos"}
	if b.bios() {
		dirs = append(dirs, "isolinux")
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(filepath.Join(b.tree, dir), 0o755); err != nil {
			return nil, err
		}
	}
	if err := b.pieces(ctx, log); err != nil {
		return nil, err
	}
	if in.Done != nil {
		in.Done()
	}
	step := log.Step("writing the ISO")
	defer step.Stop()
	made, err := b.artifacts(ctx)
	if err != nil {
		return nil, err
	}
	step.Done("")
	return made, nil
}

// pieces fills the tree of the ISO. What a wrong config would spoil comes first.
func (b *builder) pieces(ctx context.Context, log *progress.Log) error {
	vendor, err := b.makeEFIBoot(ctx)
	if err != nil {
		return fmt.Errorf("EFI boot image: %w", err)
	}
	if err := b.copyConfig(vendor); err != nil {
		return err
	}
	if b.Fixture {
		return b.fixtures()
	}
	step := log.Step("compressing the root of the live system")
	defer step.Stop()
	var payloads []packed
	squashfs := filepath.Join(b.Scratch, "root.squashfs")
	group, both := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := b.makeSquashfs(both, squashfs); err != nil {
			return fmt.Errorf("root of the live system: %w", err)
		}
		return nil
	})
	group.Go(func() (err error) {
		payloads, err = b.packPayloads(both)
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	hash, err := writeRootfs(filepath.Join(b.tree, rootfsPath), squashfs, b.Sysroot.BuildID, payloads)
	if err != nil {
		return fmt.Errorf("rootfs.img: %w", err)
	}
	if err := os.Remove(squashfs); err != nil {
		return err
	}
	if err := b.makeInitramfs(hash); err != nil {
		return fmt.Errorf("live initramfs: %w", err)
	}
	step.Done("")
	return nil
}

// Places of what PXE serves in the tree of the ISO.
const (
	kernelPath    = "images/pxeboot/vmlinuz"
	initramfsPath = "images/pxeboot/initrd.img"
	rootfsPath    = "images/pxeboot/rootfs.img"
)

// artifacts makes the ISO, and names the pieces in its tree that serve PXE.
func (b *builder) artifacts(ctx context.Context) (Artifacts, error) {
	made := Artifacts{}
	for artifact, pattern := range map[string]string{
		ISO: "%s-%s-live.%s.iso", Kernel: "%s-%s-live-kernel-%s",
		Initramfs: "%s-%s-live-initramfs.%s.img", Rootfs: "%s-%s-live-rootfs.%s.img",
	} {
		made[artifact] = filepath.Join(b.OutputDir, fmt.Sprintf(pattern, b.Sysroot.Stateroot, b.Sysroot.BuildID, b.Sysroot.Arch))
	}
	group, each := errgroup.WithContext(ctx)
	for artifact, path := range map[string]string{Kernel: kernelPath, Initramfs: initramfsPath, Rootfs: rootfsPath} {
		group.Go(func() error {
			if err := os.Link(filepath.Join(b.tree, path), made[artifact]); err != nil {
				return err
			}
			return b.made(artifact, made)
		})
	}
	group.Go(func() error {
		if err := b.makeISO(each, made[ISO]); err != nil {
			return err
		}
		return b.made(ISO, made)
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return made, os.RemoveAll(b.tree)
}

func (b *builder) made(artifact string, all Artifacts) error {
	if b.Made == nil {
		return nil
	}
	return b.Made(artifact, all[artifact])
}
