package disk

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/tool"
)

const ext4Immutable = 0x10 // EXT4_IMMUTABLE_FL

// makeFilesystem makes the file system of a partition with the content of dir.
func (b *builder) makeFilesystem(ctx context.Context, number int, dir string) error {
	part := b.plan.Partition(number)
	var err error
	switch part.FS.Type {
	case image.Ext4:
		err = b.makeExt4(ctx, part, dir)
	case image.XFS, image.Btrfs:
		err = b.makeMounted(ctx, part, dir)
	default:
		err = fmt.Errorf("no way to fill a %s file system", part.FS.Type)
	}
	if err != nil {
		return fmt.Errorf("making the %s file system: %w", part.Label, err)
	}
	return nil
}

func (b *builder) makeExt4(ctx context.Context, part image.Partition, dir string) error {
	_, err := b.r.Run(ctx, tool.Cmd{Name: "mke2fs", Args: ext4Args(part, b.disk, dir)})
	return err
}

func ext4Args(part image.Partition, disk, dir string) []string {
	fs := part.FS
	args := []string{
		"-q", "-F", "-t", "ext4", "-b", "4096", "-L", fs.Label, "-U", fs.UUID, "-d", dir,
		"-E", fmt.Sprintf("offset=%d,nodiscard,root_owner=0:0", part.Start),
	}
	var features []string
	if fs.GRUBReads {
		if !fs.CsumSeed {
			features = append(features, "^metadata_csum_seed")
		}
		features = append(features, "^orphan_file")
	}
	if fs.CsumSeed {
		features = append(features, "metadata_csum_seed")
	}
	if fs.Verity {
		features = append(features, "verity")
	}
	if len(features) > 0 {
		args = append(args, "-O", strings.Join(features, ","))
	}
	if byDefault := part.Size / 16384; fs.Inodes > byDefault {
		args = append(args, "-N", strconv.FormatInt(fs.Inodes, 10))
	}
	args = append(args, fs.ExtraOptions...)
	return append(args, disk, fmt.Sprintf("%dk", part.Size>>10))
}

// seal makes the physical root and the deployment immutable, as they are on a
// running system; mounted file systems got that while they were mounted.
func (b *builder) seal(ctx context.Context) error {
	part := b.plan.Partition(image.RootPartition)
	if part.FS.Type != image.Ext4 {
		return nil
	}
	deployment, err := filepath.Rel(b.root.path, b.root.deployment)
	if err != nil {
		return err
	}
	target := fmt.Sprintf("%s?offset=%d", b.disk, part.Start)
	for _, path := range []string{"/", "/" + deployment} {
		if err := b.setImmutable(ctx, target, path); err != nil {
			return fmt.Errorf("making %s immutable: %w", path, err)
		}
	}
	return nil
}

func (b *builder) setImmutable(ctx context.Context, target, path string) error {
	flags, err := b.inodeFlags(ctx, target, path)
	if err != nil {
		return err
	}
	flags |= ext4Immutable
	_, err = b.r.Run(ctx, tool.Cmd{Name: "debugfs", Args: []string{
		"-w", "-R", fmt.Sprintf("set_inode_field %s flags %#x", path, flags), target,
	}})
	if err != nil {
		return err
	}
	// debugfs reports success whatever its command came to.
	switch got, err := b.inodeFlags(ctx, target, path); {
	case err != nil:
		return err
	case got != flags:
		return fmt.Errorf("debugfs left the inode flags at %#x instead of %#x", got, flags)
	}
	return nil
}

var flagsField = regexp.MustCompile(`Flags:\s+(0x[0-9a-fA-F]+)`)

func (b *builder) inodeFlags(ctx context.Context, target, path string) (uint64, error) {
	out, err := b.r.Run(ctx, tool.Cmd{Name: "debugfs", Args: []string{"-R", "stat " + path, target}})
	if err != nil {
		return 0, err
	}
	m := flagsField.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("debugfs does not show the inode flags")
	}
	return strconv.ParseUint(string(m[1]), 0, 64)
}
