package disk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/tool"
)

// sharedRoot is a root file system that several images begin with: it holds all
// but what sets the images apart. With one user alone it is made right in that
// image.
type sharedRoot struct {
	users int
	file  string
	once  sync.Once
	err   error
}

// rootKey tells root file systems apart that have different bytes.
func rootKey(plan *image.Plan) string {
	root := plan.Partition(image.RootPartition)
	key := fmt.Sprintf("%d %s", root.Size, root.FS)
	if root.FS.Type == image.XFS { // which is made for a size of sectors
		key += fmt.Sprintf(" %d", plan.SectorSize)
	}
	return key
}

// makeRoot puts the root file system on the disk.
func (b *builder) makeRoot(ctx context.Context) error {
	part := b.plan.Partition(image.RootPartition)
	shared := b.roots[rootKey(b.plan)]
	if shared.users == 1 {
		if err := b.fillRoot(ctx, part, b.disk, part.Start); err != nil {
			return err
		}
		return b.sealRoot(ctx, part)
	}
	shared.once.Do(func() {
		if shared.err = createSparse(shared.file, part.Size); shared.err == nil {
			shared.err = b.fillRoot(ctx, part, shared.file, 0)
		}
	})
	if shared.err != nil {
		return shared.err
	}
	if err := copySparse(b.disk, part.Start, shared.file); err != nil {
		return err
	}
	return b.sealRoot(ctx, part)
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
	// immutable.
	sealScript = `cp "$2" "$1/"
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
	if err := createSparse(empty, part.Size); err != nil {
		return err
	}
	if _, err := b.run.Run(ctx, mkfsCommand(part, b.plan.SectorSize, empty)); err != nil {
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

func mkfsCommand(part image.Partition, sectorSize int64, file string) tool.Cmd {
	fs := part.FS
	cmd := tool.Cmd{Name: "mkfs.btrfs", Args: []string{"-q", "-L", fs.Label, "-U", fs.UUID}}
	if fs.Type == image.XFS {
		cmd = tool.Cmd{Name: "mkfs.xfs", Args: []string{
			"-q", "-L", fs.Label, "-m", "reflink=1,uuid=" + fs.UUID, "-s", "size=" + strconv.FormatInt(sectorSize, 10),
		}}
	}
	cmd.Args = append(append(cmd.Args, fs.ExtraOptions...), file)
	return cmd
}
