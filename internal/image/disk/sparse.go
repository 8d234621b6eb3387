package disk

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/image"
)

// createSparse makes a new file of size bytes without a block of its own.
func createSparse(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		return err
	}
	return f.Close()
}

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
	for end := from; ; {
		begin, err := src.Seek(end, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) || err == nil && begin >= from+size { // no more data
			return dst.Close()
		}
		if err != nil {
			return err
		}
		if end, err = src.Seek(begin, unix.SEEK_HOLE); err != nil {
			return err
		}
		end = min(end, from+size)
		if _, err := src.Seek(begin, io.SeekStart); err != nil {
			return err
		}
		if _, err := dst.Seek(at+begin-from, io.SeekStart); err != nil {
			return err
		}
		// Both are files: the kernel copies.
		if _, err := io.CopyN(dst, src, end-begin); err != nil {
			return err
		}
	}
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
	if err := createSparse(path, b.plan.Size); err != nil {
		return err
	}
	return copySparse(path, 0, b.disk)
}
