package disk

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/tool"
)

// makeExt4 makes the file system of a partition at an offset of a file, with the
// content of dir.
func (b *builder) makeExt4(ctx context.Context, part image.Partition, file string, at int64, dir string) error {
	_, err := b.run.Run(ctx, tool.Cmd{Name: "mke2fs", Args: ext4Args(part, file, at, dir)})
	return err
}

func ext4Args(part image.Partition, file string, at int64, dir string) []string {
	fs := part.FS
	args := []string{
		"-q", "-F", "-t", "ext4", "-b", "4096", "-L", fs.Label, "-U", fs.UUID, "-d", dir,
		"-E", fmt.Sprintf("offset=%d,nodiscard,root_owner=0:0", at),
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
	return append(args, file, fmt.Sprintf("%dk", part.Size>>10))
}

// sealExt4 writes the file aleph into the root directory and makes that and the
// deployment immutable, without mounting the file system.
func (b *builder) sealExt4(ctx context.Context, part image.Partition, aleph, deployment string) error {
	root := ext4Files{r: b.run, target: fmt.Sprintf("%s?offset=%d", b.disk, part.Start), scratch: b.scratch}
	if err := root.seal(ctx, aleph, "/"+alephFile, "/", "/"+deployment); err != nil {
		return fmt.Errorf("sealing the root file system: %w", err)
	}
	return nil
}
