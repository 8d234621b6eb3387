package workdir

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// DescribeImage computes the record of an artifact from its file.
func DescribeImage(path string) (Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return Image{}, err
	}
	defer f.Close()
	sum := sha256.New()
	size, err := copyData(sum, f)
	if err != nil {
		return Image{}, err
	}
	return Image{Path: filepath.Base(path), SHA256: hex.EncodeToString(sum.Sum(nil)), Size: size}, nil
}

// copyData writes what the file holds. Disk images are half holes, for which the
// kernel would make pages of zeros when they are read.
func copyData(w io.Writer, f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	size := info.Size()
	buffer, zeros := make([]byte, 1<<20), make([]byte, 1<<20)
	for at := int64(0); at < size; {
		begin, end, err := nextData(f, at, size)
		if err != nil {
			return at, err
		}
		for hole := begin - at; hole > 0; hole -= min(hole, int64(len(zeros))) {
			if _, err := w.Write(zeros[:min(hole, int64(len(zeros)))]); err != nil {
				return at, err
			}
		}
		n, err := io.CopyBuffer(w, io.NewSectionReader(f, begin, end-begin), buffer)
		if err == nil && n < end-begin {
			err = io.ErrUnexpectedEOF // it became shorter
		}
		if err != nil {
			return begin + n, err
		}
		at = end
	}
	return size, nil
}

// nextData finds the next run of data from an offset on. A file system that knows
// of no holes has data everywhere; where there are only holes it begins at the end.
func nextData(f *os.File, from, size int64) (begin, end int64, err error) {
	begin, err = f.Seek(from, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return size, size, nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOTSUP):
		return from, size, nil
	case err != nil:
		return 0, 0, err
	}
	end, err = f.Seek(begin, unix.SEEK_HOLE)
	return begin, min(end, size), err
}
