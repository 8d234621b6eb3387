// Package sparsefile reads and copies files with holes, as disk images are: a hole
// costs neither room nor reading. On a file system that knows no holes a file is
// all data.
package sparsefile

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Create makes a new file of size bytes without a block of its own.
func Create(path string, size int64) error {
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

// NextData finds the first run of data that begins at from or contains it, and
// before the offset to; without any, it begins and ends there. It moves the file's
// offset.
func NextData(f *os.File, from, to int64) (begin, end int64, err error) {
	begin, err = f.Seek(from, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO), err == nil && begin >= to:
		return to, to, nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOTSUP):
		return from, to, nil
	case err != nil:
		return 0, 0, err
	}
	end, err = f.Seek(begin, unix.SEEK_HOLE)
	return begin, min(end, to), err
}

// Read writes the bytes from one offset of the file to another into w: zeros for
// holes, for which the kernel would make pages if they were read. It moves the
// file's offset. A file that is shorter is io.ErrUnexpectedEOF.
func Read(w io.Writer, f *os.File, from, to int64) error {
	if info, err := f.Stat(); err != nil {
		return err
	} else if info.Size() < to {
		return io.ErrUnexpectedEOF
	}
	buffer, zeros := make([]byte, 1<<20), make([]byte, 1<<20)
	for from < to {
		begin, end, err := NextData(f, from, to)
		if err != nil {
			return err
		}
		for hole := begin - from; hole > 0; hole -= min(hole, int64(len(zeros))) {
			if _, err := w.Write(zeros[:min(hole, int64(len(zeros)))]); err != nil {
				return err
			}
		}
		n, err := io.CopyBuffer(w, io.NewSectionReader(f, begin, end-begin), buffer)
		if err == nil && n < end-begin {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		from = end
	}
	return nil
}

// Copy copies size bytes of src, from an offset on, to the offset at of dst. It
// skips holes, so that place must be empty, and moves the offsets of both files.
func Copy(dst *os.File, at int64, src *os.File, from, size int64) error {
	to := from + size
	for next := from; next < to; {
		begin, end, err := NextData(src, next, to)
		if err != nil {
			return err
		}
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
		next = end
	}
	return nil
}
