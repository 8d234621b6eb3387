// Package fsck checks finished disk images without changing them: the container
// format, the partition table, and every file system, each by the tool of its own
// field. Nothing is mounted, so no privileges are needed.
package fsck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/diskfs/go-diskfs/partition/gpt"

	"github.com/nestos/nosa-actions/internal/tool"
)

// formats are the images that can be checked, by extension, and qemu's name for
// what they are.
var formats = map[string]string{".qcow2": "qcow2", ".raw": "raw"}

// Can tells by its name whether a file is a disk image that can be checked.
func Can(path string) bool { return formats[filepath.Ext(path)] != "" }

// ErrBad wraps what is wrong with an image; another error says that it could not
// be checked.
var ErrBad = errors.New("the disk is damaged")

// Disk checks the image at path. The directory scratch, made if it is missing,
// takes one partition after the other and is removed in the end. All partitions
// are checked and all that is wrong with them is told.
func Disk(ctx context.Context, r tool.Runner, path, scratch string) error {
	c := checker{r: r, path: path, format: formats[filepath.Ext(path)], scratch: scratch}
	if c.format == "" {
		return fmt.Errorf("%s is no disk image that can be checked", path)
	}
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // the next check clears it
	if c.format == "qcow2" {
		if err := c.judge(ctx, "qemu-img", "check", "-q", "-f", "qcow2", path); err != nil {
			return err
		}
	}
	partitions, err := c.partitions(ctx)
	if err != nil {
		return err
	}
	var all []error
	for _, p := range partitions {
		if err := c.partition(ctx, p); err != nil {
			all = append(all, fmt.Errorf("partition %d (%s): %w", p.Index, p.Name, err))
		}
	}
	return errors.Join(all...)
}

type checker struct {
	r                     tool.Runner
	path, format, scratch string
}

// judge runs a tool that ends with a status of its own when it finds faults.
func (c checker) judge(ctx context.Context, program string, args ...string) error {
	out, err := c.r.Run(ctx, tool.Cmd{Name: program, Args: args})
	failed, ok := errors.AsType[*tool.Error](err)
	if !ok || failed.ExitCode() < 0 {
		return err
	}
	return fmt.Errorf("%w: %s: %s", ErrBad, program, faults(string(out)+"\n"+failed.Stderr))
}

// chatter begins the lines with which the tools tell what they are doing.
var chatter = []string{
	"Pass ", "Phase ", "- ", "e2fsck ", "fsck.fat ", "No modify flag", "Cannot get host filesystem", "Repair may fail if", "the image and the host",
}

// faults are the first lines that are not chatter.
func faults(said string) string {
	var lines []string
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if line == "" || slices.ContainsFunc(chatter, func(c string) bool { return strings.HasPrefix(line, c) }) {
			continue
		}
		if lines = append(lines, line); len(lines) == 3 {
			break
		}
	}
	return strings.Join(lines, "; ")
}

// tableSize is more than a partition table takes at the begin of a disk, with
// sectors of either size; bytes.
const tableSize = 1 << 20

// partitions reads the table.
func (c checker) partitions(ctx context.Context) ([]*gpt.Partition, error) {
	head := filepath.Join(c.scratch, "table")
	if err := c.extract(ctx, 0, tableSize, head); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(head)
	if err != nil {
		return nil, err
	}
	sector := 0
	for _, size := range []int{512, 4096} {
		if len(data) > size && bytes.HasPrefix(data[size:], []byte("EFI PART")) {
			sector = size
		}
	}
	if sector == 0 {
		return nil, fmt.Errorf("%w: it has no GUID partition table", ErrBad)
	}
	f, err := os.Open(head)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	table, err := gpt.Read(f, sector, sector)
	if err != nil {
		return nil, fmt.Errorf("%w: partition table: %w", ErrBad, err)
	}
	return table.Partitions, nil
}

// extract copies a part of the disk to a file, sparse.
func (c checker) extract(ctx context.Context, offset, size int64, to string) error {
	file := "driver=file,filename=" + strings.ReplaceAll(c.path, ",", ",,")
	source := fmt.Sprintf("driver=raw,offset=%d,size=%d,file.", offset, size)
	if c.format == "raw" {
		source += strings.Replace(file, ",", ",file.", 1)
	} else {
		source += "driver=" + c.format + ",file.file." + strings.Replace(file, ",", ",file.file.", 1)
	}
	_, err := c.r.Run(ctx, tool.Cmd{Name: "qemu-img", Args: []string{
		"convert", "-U", "--image-opts", "-O", "raw", source, to,
	}})
	if err != nil {
		return fmt.Errorf("read the disk: %w", err)
	}
	return nil
}

// partition checks what a partition holds; many hold no file system.
func (c checker) partition(ctx context.Context, p *gpt.Partition) error {
	file := filepath.Join(c.scratch, fmt.Sprintf("partition%d", p.Index))
	if err := c.extract(ctx, p.GetStart(), p.GetSize(), file); err != nil {
		return err
	}
	defer os.Remove(file) //nolint:errcheck // goes with the scratch directory
	kind, err := c.filesystem(ctx, file)
	if err != nil {
		return err
	}
	switch kind {
	case "ext2", "ext3", "ext4":
		return c.judge(ctx, "e2fsck", "-f", "-n", file)
	case "xfs":
		return c.judge(ctx, "xfs_repair", "-n", "-f", file)
	case "vfat":
		return c.judge(ctx, "fsck.vfat", "-n", file)
	case "btrfs":
		return c.judge(ctx, "btrfs", "check", "--readonly", file)
	}
	return nil
}

// filesystem is the kind of file system in a file, "" if there is none.
func (c checker) filesystem(ctx context.Context, file string) (string, error) {
	out, err := c.r.Run(ctx, tool.Cmd{Name: "blkid", Args: []string{"--probe", "--output", "value", "--match-tag", "TYPE", file}})
	const nothing = 2
	if failed, ok := errors.AsType[*tool.Error](err); ok && failed.ExitCode() == nothing {
		return "", nil
	}
	return strings.TrimSpace(string(out)), err
}
