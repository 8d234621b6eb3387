package disk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/tool"
)

// fillScript mounts the file system $1 at $2, copies the directory $3 into it
// and makes its root and the directory $4 in it immutable. It runs in a mount
// namespace of its own: when it ends, however it ends, the mount is gone, and
// with the mount the loop device.
const fillScript = `set -eu
mount -o loop "$1" "$2"
cp -a "$3/." "$2/"
chattr +i "$2/$4" "$2"
umount "$2"
`

// makeMounted makes a file system that no tool can fill from a directory.
func (b *builder) makeMounted(ctx context.Context, part image.Partition, dir string) error {
	file := filepath.Join(b.in.Scratch, part.Label+".img")
	if err := createSparse(file, part.Size); err != nil {
		return err
	}
	if _, err := b.r.Run(ctx, mkfsCommand(part, b.plan.SectorSize, file)); err != nil {
		return err
	}
	mountPoint := filepath.Join(b.in.Scratch, part.Label+".mnt")
	if err := os.Mkdir(mountPoint, 0o700); err != nil {
		return err
	}
	deployment, err := filepath.Rel(b.root.path, b.root.deployment)
	if err != nil {
		return err
	}
	_, err = b.r.Run(ctx, tool.Cmd{Name: "unshare", Args: []string{
		"--mount", "--propagation", "private",
		"sh", "-c", fillScript, "sh", file, mountPoint, dir, deployment,
	}})
	if err != nil {
		return fmt.Errorf("filling it through a loop mount (rootfs: ext4 in image.yaml needs none): %w", err)
	}
	if err := copySparse(b.disk, part.Start, file); err != nil {
		return err
	}
	return os.Remove(file)
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
