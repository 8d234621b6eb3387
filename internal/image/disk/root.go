package disk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/sparsefile"
	"github.com/nestos/nosa-actions/internal/tool"
)

// sharedRoot is a root file system that several images begin with: that of the
// first image, but for what sets the images apart.
type sharedRoot struct {
	once sync.Once
	err  error
	disk *os.File // of the first image, which may have another name or none by now
	at   int64    // where it is there
}

// Close lets go of the first image.
func (s *sharedRoot) Close() error {
	if s.disk == nil {
		return nil
	}
	return s.disk.Close()
}

// rootKey tells root file systems apart that have different bytes.
func rootKey(plan *image.Plan) string {
	root := plan.Partition(image.RootPartition)
	return fmt.Sprintf("%d %s", root.Size, root.FS)
}

// makeRoot puts the root file system on the disk: a new one if the image is the
// first, else a copy.
func (b *builder) makeRoot(ctx context.Context) error {
	part := b.plan.Partition(image.RootPartition)
	shared := b.roots[rootKey(b.plan)]
	first := false
	shared.once.Do(func() {
		first = true
		shared.err = b.firstRoot(ctx, part, shared)
	})
	if first || shared.err != nil {
		return shared.err
	}
	if err := shared.copyTo(b.disk, part); err != nil {
		return err
	}
	return b.sealRoot(ctx, part)
}

func (b *builder) firstRoot(ctx context.Context, part image.Partition, shared *sharedRoot) (err error) {
	if err := b.fillRoot(ctx, part, b.disk, part.Start); err != nil {
		return err
	}
	if err := b.sealRoot(ctx, part); err != nil {
		return err
	}
	shared.at = part.Start
	shared.disk, err = os.Open(b.disk)
	return err
}

// copyTo copies the file system to its place on another disk. It reads through a
// descriptor of its own, since others may copy at the same time.
func (s *sharedRoot) copyTo(disk string, part image.Partition) error {
	src, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", s.disk.Fd()))
	if err != nil {
		return err
	}
	defer src.Close()
	return copyRange(disk, part.Start, src, s.at, part.Size)
}

// fillRoot makes the file system at an offset of a file, with all that the
// images have in common.
func (b *builder) fillRoot(ctx context.Context, part image.Partition, file string, at int64) error {
	if part.FS.Type == image.Ext4 {
		return b.makeExt4(ctx, part, file, at, b.Path)
	}
	return b.makeMounted(ctx, part, file, at)
}

// sealRoot writes the file that says which image this is, and makes the physical
// root and the deployment immutable, as they are on a running system.
func (b *builder) sealRoot(ctx context.Context, part image.Partition) error {
	aleph := filepath.Join(b.scratch, alephFile)
	if err := b.writeAleph(aleph); err != nil {
		return fmt.Errorf("writing %s: %w", alephFile, err)
	}
	deployment, err := filepath.Rel(b.Path, b.Deployment)
	if err != nil {
		return err
	}
	if part.FS.Type == image.Ext4 {
		return b.sealExt4(ctx, part, aleph, deployment)
	}
	return b.mounted(ctx, sealScript, part, b.disk, part.Start, aleph, deployment)
}

// Scripts for a file system that is mounted at $1. They run in a mount namespace
// of their own: when they end, however they end, the mount is gone, and with the
// mount the loop device.
const (
	mountScript = `mount -o "loop,offset=$1,sizelimit=$2$3" "$4" "$5"
shift 4
`
	// fillScript copies the directory $2.
	fillScript = `cp -a "$2/." "$1/"
umount "$1"
`
	// sealScript copies the file $2 and makes the root and the directory $3
	// immutable; the root may be so already.
	sealScript = `chattr -i "$1"
cp "$2" "$1/"
chattr +i "$1/$3" "$1"
umount "$1"
`
	// Btrfs knows file systems by their UUID, which all images have in common:
	// one is mounted at a time, on the whole machine, and none is remembered.
	btrfsLock   = "/run/nosa-btrfs.lock"
	btrfsForget = "btrfs device scan --forget\n"
)

// makeMounted makes a file system that no tool can fill from a directory.
func (b *builder) makeMounted(ctx context.Context, part image.Partition, file string, at int64) error {
	// The makers know no offsets; what they write is little.
	empty := filepath.Join(b.scratch, part.Label+".img")
	if err := sparsefile.Create(empty, part.Size); err != nil {
		return err
	}
	if _, err := b.run.Run(ctx, mkfsCommand(part, empty)); err != nil {
		return err
	}
	if err := copySparse(file, at, empty); err != nil {
		return err
	}
	if err := os.Remove(empty); err != nil {
		return err
	}
	return b.mounted(ctx, fillScript, part, file, at, b.Path)
}

// mounted runs a script over the file system of a partition, which is at an
// offset of a file.
func (b *builder) mounted(ctx context.Context, script string, part image.Partition, file string, at int64, args ...string) error {
	mountPoint := filepath.Join(b.scratch, "mnt")
	if err := os.MkdirAll(mountPoint, 0o700); err != nil {
		return err
	}
	var options, before, after string
	cmd := tool.Cmd{Name: "unshare"}
	switch part.FS.Type {
	case image.XFS:
		options = ",nouuid" // others with this UUID may be mounted
	case image.Btrfs:
		before, after = btrfsForget, btrfsForget
		cmd = tool.Cmd{Name: "flock", Args: []string{btrfsLock, "unshare"}}
	}
	cmd.Args = append(cmd.Args, "--mount", "--propagation", "private", "sh", "-c", "set -eu\n"+before+mountScript+script+after, "sh",
		strconv.FormatInt(at, 10), strconv.FormatInt(part.Size, 10), options, file, mountPoint)
	cmd.Args = append(cmd.Args, args...)
	if _, err := b.run.Run(ctx, cmd); err != nil {
		return fmt.Errorf("filling it through a loop mount (rootfs: ext4 in image.yaml needs none): %w", err)
	}
	return nil
}

// xfsSector is what XFS takes for a sector, in bytes. With that of the larger disks
// one file system is good for all, as it is on disks of 4096 bytes that can be
// addressed by 512.
const xfsSector = "4096"

func mkfsCommand(part image.Partition, file string) tool.Cmd {
	fs := part.FS
	cmd := tool.Cmd{Name: "mkfs.btrfs", Args: []string{"-q", "-L", fs.Label, "-U", fs.UUID}}
	if fs.Type == image.XFS {
		cmd = tool.Cmd{Name: "mkfs.xfs", Args: []string{
			"-q", "-L", fs.Label, "-m", "reflink=1,uuid=" + fs.UUID, "-s", "size=" + xfsSector,
		}}
	}
	cmd.Args = append(append(cmd.Args, fs.ExtraOptions...), file)
	return cmd
}
