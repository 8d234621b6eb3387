// Package disk assembles disk images without a virtual machine: from a commit
// in an OSTree repository to files with partitions, boot loaders for BIOS and
// UEFI, and a deployment. File systems that a tool can fill from a directory
// are never mounted; for the others there is a loop mount in a mount namespace
// of its own, which ends with the process that uses it.
//
// What an image will be is settled by package image; this package only does it.
package disk

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/imageconf"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/sparsefile"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Source says what the images of a build are made from. It is the same for all
// of them.
type Source struct {
	Repo      string // OSTree repository that holds the commit, in any mode
	Commit    string
	Ref       string // of the build; may be empty unless the config names a remote
	Stateroot string // also the build's name
	BuildID   string
	Config    *imageconf.Config
	Platforms imageconf.Platforms
	Arch      arch.Arch

	// Scratch is a directory for intermediate files, emptied in the beginning
	// and removed in the end. It needs room for the tree, and for twice the
	// tree with each image.
	Scratch string
	// Random feeds the partition GUIDs; nil means crypto/rand.
	Random io.Reader
}

// Sysroot is a physical root with the commit as its only deployment. Images are
// written from it, several at a time.
type Sysroot struct {
	Source
	Path       string // the physical root
	Deployment string // the deployed tree, absolute
	Boot       string // what belongs on the boot partition of every image

	run     tool.Runner
	load    *loaders
	content image.Content
	plans   map[image.Kind]*image.Plan
	roots   map[string]*sharedRoot // by rootKey
}

// Deploy makes the physical root for images of the given kinds, and settles
// what they will be: what cannot be made is refused here, before it is begun. It
// must run as root, since a tree has files of many owners. Errors do not name
// the kinds; the caller does. A Sysroot is to be closed.
func Deploy(ctx context.Context, r tool.Runner, log *progress.Log, src Source, kinds ...image.Kind) (*Sysroot, error) {
	if err := src.check(kinds); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(src.Scratch); err != nil {
		return nil, fmt.Errorf("clearing the scratch directory: %w", err)
	}
	if err := os.MkdirAll(src.Scratch, 0o700); err != nil {
		return nil, fmt.Errorf("making the scratch directory: %w", err)
	}
	s := &Sysroot{Source: src, run: r}
	if err := s.prepare(ctx, log, kinds); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close removes the scratch directory.
func (s *Sysroot) Close() error {
	var errs []error
	for _, shared := range s.roots {
		errs = append(errs, shared.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.Scratch))...)
}

// Plan is what the image of a kind that Deploy was told of will be.
func (s *Sysroot) Plan(kind image.Kind) *image.Plan { return s.plans[kind] }

// prepare deploys, measures and plans.
func (s *Sysroot) prepare(ctx context.Context, log *progress.Log, kinds []image.Kind) error {
	step := log.Step("deploying %.12s", s.Commit)
	defer step.Stop()
	if err := s.deploy(ctx); err != nil {
		return err
	}
	if err := s.measure(); err != nil {
		return fmt.Errorf("measuring the tree: %w", err)
	}
	if err := s.plan(kinds); err != nil {
		return err
	}
	var err error
	if s.load, err = findLoaders(s.Deployment, s.Arch); err != nil {
		return err
	}
	bootloader, err := s.chooseMenu()
	if err != nil {
		return err
	}
	if err := s.configureRepo(bootloader); err != nil {
		return err
	}
	step.Done("%d objects", s.content.Objects)
	return nil
}

// plan lays out the images and makes sure that there is room for them.
func (s *Sysroot) plan(kinds []image.Kind) error {
	s.plans = map[image.Kind]*image.Plan{}
	s.roots = map[string]*sharedRoot{}
	copies := int64(0)
	for _, kind := range kinds {
		plan, err := image.NewPlan(image.Request{
			Kind: kind, Arch: s.Arch, Name: s.Stateroot, BuildID: s.BuildID,
			Config: s.Config, Platforms: s.Platforms, Content: s.content, Random: s.Random,
		})
		if err != nil {
			return err
		}
		s.plans[kind] = plan
		if copies++; plan.Format != image.Raw {
			copies++ // in the raw disk, and in what it is converted to
		}
		if key := rootKey(plan); s.roots[key] == nil {
			s.roots[key] = new(sharedRoot)
		}
	}
	return s.CheckSpace(s.Scratch, copies)
}

// builder makes one image.
type builder struct {
	*Sysroot
	plan    *image.Plan
	scratch string // of this image
	disk    string // the raw disk being filled
	begun   Begun  // of the output
}

// builder prepares to make an image of a kind.
func (s *Sysroot) builder(kind image.Kind, scratch string) (*builder, error) {
	plan := s.plans[kind]
	if plan == nil {
		return nil, fmt.Errorf("no %s image was planned", kind)
	}
	return &builder{Sysroot: s, plan: plan, scratch: scratch, disk: filepath.Join(scratch, "disk.raw")}, nil
}

// Begun is a checksum of the first bytes of a file. The zero value is that of none.
type Begun struct {
	SHA256 hash.Hash
	Bytes  int64
}

// Write makes the image of a kind that Deploy was told of. The output appears
// whole or not at all, but is not flushed to the disk. Images of different kinds
// can be written at the same time. What of the output was final before the rest
// is summed already: its boot partitions, where it is a raw disk.
func (s *Sysroot) Write(ctx context.Context, log *progress.Log, kind image.Kind, output string) (Begun, error) {
	scratch := filepath.Join(s.Scratch, string(kind))
	b, err := s.builder(kind, scratch)
	if err != nil {
		return Begun{}, err
	}
	if err := os.Mkdir(scratch, 0o700); err != nil {
		return Begun{}, fmt.Errorf("making the scratch directory: %w", err)
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // Close removes what is left
	step := log.Step("filling %s", b.plan.FileName)
	defer step.Stop()
	if err := createDisk(b.disk, b.plan); err != nil {
		return Begun{}, err
	}
	if err := b.fill(ctx); err != nil {
		return Begun{}, err
	}
	step.Done("")
	return b.begun, b.finish(ctx, log, output)
}

// fill writes the file systems and the loaders. The root file system takes longest;
// beside it, all that stands before it on the disk is made, and summed.
func (b *builder) fill(ctx context.Context) error {
	boot := filepath.Join(b.scratch, "boot")
	if err := b.stageBoot(ctx, boot); err != nil {
		return fmt.Errorf("boot partition: %w", err)
	}
	group, both := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := b.makeRoot(both); err != nil {
			return fmt.Errorf("making the root file system: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		if err := b.installLoaders(both, boot); err != nil {
			return err
		}
		part := b.plan.Partition(image.BootPartition)
		if err := b.makeExt4(both, part, b.disk, part.Start, boot); err != nil {
			return fmt.Errorf("making the boot file system: %w", err)
		}
		return b.sumHead()
	})
	return group.Wait()
}

// sumHead begins the checksum of a raw image.
func (b *builder) sumHead() error {
	if b.plan.Format != image.Raw {
		return nil
	}
	f, err := os.Open(b.disk)
	if err != nil {
		return err
	}
	defer f.Close()
	b.begun = Begun{SHA256: sha256.New(), Bytes: b.plan.Partition(image.RootPartition).Start}
	return sparsefile.Read(b.begun.SHA256, f, 0, b.begun.Bytes)
}

// finish turns the raw disk into the output.
func (b *builder) finish(ctx context.Context, log *progress.Log, output string) error {
	part := filepath.Join(filepath.Dir(output), "."+filepath.Base(output)+".part")
	defer os.Remove(part) //nolint:errcheck // there is none after success
	step := log.Step("writing %s", filepath.Base(output))
	defer step.Stop()
	if err := b.output(ctx, part); err != nil {
		return err
	}
	if err := os.Rename(part, output); err != nil {
		return err
	}
	step.Done("%d MiB virtual", b.plan.Size>>20)
	return nil
}

func (src Source) check(kinds []image.Kind) error {
	for _, kind := range kinds {
		if t := kind.Traits(); t.Format == "" || t.Derived {
			return fmt.Errorf("unknown kind of disk image %q", kind)
		}
	}
	if os.Geteuid() != 0 {
		return errors.New("making a disk image needs root: a tree has files of many owners")
	}
	if err := src.Config.CheckRemote(src.Ref); err != nil {
		return err
	}
	return tool.Need(toolsFor(src.Config, kinds)...)
}

// CheckSpace makes sure that the file system of dir has room for the tree so many
// times; else the error is image.ErrNoSpace.
func (s *Sysroot) CheckSpace(dir string, copies int64) error {
	return checkSpace(dir, copies*s.content.Bytes())
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

// toolsFor lists the host programs that the images cannot be made without.
func toolsFor(c *imageconf.Config, kinds []image.Kind) []string {
	need := []string{"ostree", "cp", "mke2fs", "debugfs", "mkfs.vfat", "mcopy"}
	for _, kind := range kinds {
		if kind.Traits().Format == image.QCOW2 {
			need = append(need, "qemu-img")
		}
	}
	switch c.RootFS {
	case "xfs":
		need = append(need, "mkfs.xfs", "unshare", "mount")
	case "btrfs":
		need = append(need, "mkfs.btrfs", "btrfs", "flock", "unshare", "mount")
	}
	return need
}
