// Package disk assembles disk images without a virtual machine: from a commit
// in an OSTree repository to a file with partitions, boot loaders for BIOS and
// UEFI, and a deployment. File systems that a tool can fill from a directory
// are never mounted; for the others there is a loop mount in a mount namespace
// of its own, which ends with the process that uses it.
//
// What an image will be is settled by package image; this package only does it.
package disk

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/imageconf"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Input says what to write and where.
type Input struct {
	Repo      string // OSTree repository that holds the commit, in any mode
	Commit    string
	Ref       string // of the build; may be empty unless the config names a remote
	Stateroot string // also the build's name
	BuildID   string
	Config    *imageconf.Config
	Platforms imageconf.Platforms
	Kind      image.Kind
	Arch      arch.Arch

	// Scratch is a directory for intermediate files, made if it is missing and
	// emptied in the end. It needs room for twice the tree.
	Scratch string
	// Output is the finished file. It appears whole or not at all, but is not
	// flushed to the disk.
	Output string
	// Random feeds the partition GUIDs; nil means crypto/rand.
	Random io.Reader
}

// Write makes the image. It must run as root, since a tree has files of many
// owners. An image that could not be finished leaves nothing behind. Its errors do
// not name the kind of image; the caller does.
func Write(ctx context.Context, r tool.Runner, log *progress.Log, in Input) error {
	if err := in.check(); err != nil {
		return err
	}
	if err := os.RemoveAll(in.Scratch); err != nil {
		return fmt.Errorf("clearing the scratch directory: %w", err)
	}
	if err := os.MkdirAll(in.Scratch, 0o700); err != nil {
		return fmt.Errorf("making the scratch directory: %w", err)
	}
	defer os.RemoveAll(in.Scratch) //nolint:errcheck // the next run clears it
	return write(ctx, r, log, in)
}

// write is the order of the work: deploy, plan, fill, finish.
func write(ctx context.Context, r tool.Runner, log *progress.Log, in Input) error {
	step := log.Step("deploying %.12s", in.Commit)
	defer step.Stop()
	root, err := deploy(ctx, r, in)
	if err != nil {
		return err
	}
	content, err := measure(filepath.Join(root.path, "ostree/repo/objects"))
	if err != nil {
		return fmt.Errorf("measuring the tree: %w", err)
	}
	plan, err := image.NewPlan(image.Request{
		Kind: in.Kind, Arch: in.Arch, Name: in.Stateroot, BuildID: in.BuildID,
		Config: in.Config, Platforms: in.Platforms, Content: content, Random: in.Random,
	})
	if err != nil {
		return err
	}
	// Once in the raw disk, once more in what it is converted to.
	if err := checkSpace(in.Scratch, 2*content.Bytes()); err != nil {
		return err
	}
	step.Done("%d objects", content.Objects)

	step = log.Step("filling %s", plan.FileName)
	defer step.Stop()
	disk := filepath.Join(in.Scratch, "disk.raw")
	if err := createDisk(disk, plan); err != nil {
		return err
	}
	load, err := findLoaders(root.deployment, in.Arch)
	if err != nil {
		return err
	}
	b := &builder{r: r, in: in, plan: plan, root: root, load: load, disk: disk}
	if err := b.fill(ctx); err != nil {
		return err
	}
	step.Done("")

	return b.finish(ctx, log)
}

// builder holds what the parts of an image have in common.
type builder struct {
	r    tool.Runner
	in   Input
	plan *image.Plan
	root *sysroot
	load *loaders
	disk string // the raw disk being filled
}

// fill writes the file systems and the loaders.
func (b *builder) fill(ctx context.Context) error {
	bootloader, err := b.chooseMenu()
	if err != nil {
		return err
	}
	if err := b.configureRepo(ctx, bootloader); err != nil {
		return err
	}
	boot, err := b.stageBoot()
	if err != nil {
		return fmt.Errorf("boot partition: %w", err)
	}
	group, both := errgroup.WithContext(ctx)
	group.Go(func() error {
		return b.makeFilesystem(both, image.RootPartition, b.root.path)
	})
	group.Go(func() error {
		if err := b.installLoaders(both, boot); err != nil {
			return err
		}
		return b.makeFilesystem(both, image.BootPartition, boot)
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return b.seal(ctx)
}

// finish turns the raw disk into the output.
func (b *builder) finish(ctx context.Context, log *progress.Log) error {
	part := filepath.Join(filepath.Dir(b.in.Output), "."+filepath.Base(b.in.Output)+".part")
	defer os.Remove(part) //nolint:errcheck // there is none after success
	step := log.Step("writing %s", filepath.Base(b.in.Output))
	defer step.Stop()
	if err := b.convert(ctx, part); err != nil {
		return err
	}
	if err := os.Rename(part, b.in.Output); err != nil {
		return err
	}
	step.Done("%d MiB virtual", b.plan.Size>>20)
	return nil
}

func (in Input) check() error {
	if in.Kind.Traits().Format == "" {
		return fmt.Errorf("unknown kind of disk image %q", in.Kind)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("making a disk image needs root: a tree has files of many owners")
	}
	if err := in.Config.CheckRemote(in.Ref); err != nil {
		return err
	}
	return tool.Need(toolsFor(in)...)
}

// checkSpace makes sure that the file system of dir has room for so many bytes.
func checkSpace(dir string, need int64) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("asking for the free space at %s: %w", dir, err)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < need {
		return fmt.Errorf("%s has %d MiB free, the image takes %d more: %w", dir, free>>20, need>>20, image.ErrNoSpace)
	}
	return nil
}

// toolsFor lists the host programs that the image cannot be made without.
func toolsFor(in Input) []string {
	need := []string{"ostree", "mke2fs", "debugfs", "mkfs.vfat", "mcopy"}
	if in.Kind.Traits().Format == image.QCOW2 {
		need = append(need, "qemu-img")
	}
	switch in.Config.RootFS {
	case "xfs":
		need = append(need, "mkfs.xfs", "unshare", "mount")
	case "btrfs":
		need = append(need, "mkfs.btrfs", "unshare", "mount")
	}
	return need
}
