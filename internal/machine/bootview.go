package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/format/bls"
	"github.com/nestos/nosa-actions/internal/tool"
)

// CheckBoot looks at the boot partition of a disk that was cut off from its
// guest: every boot entry must be whole, with a kernel and an initramfs. That has
// to hold as a boot loader sees it, which knows no journal, and after the journal
// has been replayed. It returns the number of entries.
func CheckBoot(ctx context.Context, r tool.Runner, disk, scratch string) (entries int, err error) {
	dir, err := os.MkdirTemp(scratch, "boot-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	start, size, err := findPartition(ctx, r, disk, dir, "boot")
	if err != nil {
		return 0, err
	}
	b := bootPartition{run: r, image: filepath.Join(dir, "boot.img"), dir: dir, readOnly: true}
	if err := copyOut(ctx, r, disk, start, size, b.image); err != nil {
		return 0, err
	}
	if entries, err = b.entries(ctx); err != nil {
		return 0, fmt.Errorf("boot partition as a boot loader reads it: %w", err)
	}
	_, err = r.Run(ctx, tool.Cmd{Name: "e2fsck", Args: []string{"-p", b.image}})
	if err != nil && exitCode(err) != 1 { // 1: all is mended, such as by the journal
		return 0, fmt.Errorf("boot partition: %w", err)
	}
	if entries, err = b.entries(ctx); err != nil {
		return 0, fmt.Errorf("boot partition after its journal: %w", err)
	}
	return entries, nil
}

// entries checks the boot entries and counts them.
func (b bootPartition) entries(ctx context.Context) (int, error) {
	names, err := b.list(ctx, entriesDir)
	if err != nil {
		return 0, err
	}
	count := 0
	for _, name := range names {
		if path.Ext(name) != ".conf" {
			continue
		}
		text, err := b.read(ctx, path.Join(entriesDir, name))
		if err != nil {
			return 0, err
		}
		e, err := bls.Parse(text)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		for _, file := range append([]string{e.Linux}, e.Initrd...) {
			if content, err := b.read(ctx, file); err != nil || len(content) == 0 {
				return 0, fmt.Errorf("%s names %s, which is not there or empty", name, file)
			}
		}
		count++
	}
	if count == 0 {
		return 0, fmt.Errorf("there are no boot entries in %s", entriesDir)
	}
	return count, nil
}

// exitCode is the status with which a program failed, or -1.
func exitCode(err error) int {
	if failed, ok := errors.AsType[*tool.Error](err); ok {
		return failed.ExitCode()
	}
	return -1
}
