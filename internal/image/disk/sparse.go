package disk

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/sparsefile"
)

// copySparse copies the data of the file from into the file to, beginning at
// offset at there. Holes are skipped, so that place must be empty.
func copySparse(to string, at int64, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	return copyRange(to, at, src, 0, info.Size())
}

// copyRange does the same with size bytes of src, from an offset on.
func copyRange(to string, at int64, src *os.File, from, size int64) error {
	dst, err := os.OpenFile(to, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer dst.Close()
	if err := sparsefile.Copy(dst, at, src, from, size); err != nil {
		return err
	}
	return dst.Close()
}

// output makes the raw disk a file of the plan's format at path.
func (b *builder) output(ctx context.Context, path string) error {
	if b.plan.Format == image.Raw {
		return b.moveRaw(path)
	}
	return convert(ctx, b.run, b.disk, image.Raw, path, b.plan.Format)
}

// moveRaw takes the raw disk itself, or a sparse copy where the scratch
// directory is on another file system.
func (b *builder) moveRaw(path string) error {
	err := os.Rename(b.disk, path)
	if !errors.Is(err, unix.EXDEV) {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := sparsefile.Create(path, b.plan.Size); err != nil {
		return err
	}
	return copySparse(path, 0, b.disk)
}
