package inspect

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/diskfs/go-diskfs/backend"

	"github.com/nestos/nosa-actions/internal/format/qcow2"
)

// Format is how a file holds an image.
type Format string

const (
	Raw   Format = "raw"
	QCOW2 Format = "qcow2"
	ISO   Format = "iso"
)

// source is the disk, or the medium, that a file holds.
type source struct {
	io.ReaderAt
	size   int64 // bytes
	format Format
	header *qcow2.Header // of a qcow2 image
}

// packed are the first bytes of files that have to be uncompressed first.
var packed = map[string]string{"\x1f\x8b": "gzip", "\xfd7zXZ": "xz", "\x28\xb5\x2f\xfd": "zstd"}

// openSource looks at what a file is, whatever its name.
func openSource(f *os.File) (*source, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", f.Name())
	}
	head := make([]byte, 8)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for magic, name := range packed {
		if len(magic) <= n && string(head[:len(magic)]) == magic {
			return nil, fmt.Errorf("%s is compressed with %s; run nosa uncompress, or unpack it, first", f.Name(), name)
		}
	}
	if string(head[:4]) == qcow2.Magic {
		img, err := qcow2.Open(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		return &source{ReaderAt: img, size: img.Size, format: QCOW2, header: &img.Header}, nil
	}
	s := &source{ReaderAt: f, size: info.Size(), format: Raw}
	if magic := s.bytes(16*2048+1, 5); string(magic) == "CD001" { // ECMA-119, 8.1.2
		s.format = ISO
	}
	return s, nil
}

// bytes reads a few bytes; nil where there are not so many.
func (s *source) bytes(at int64, n int) []byte {
	b := make([]byte, n)
	if got, _ := s.ReadAt(b, at); got != n {
		return nil
	}
	return b
}

// part is a part of the disk.
func (s *source) part(at, size int64) *io.SectionReader {
	return io.NewSectionReader(s, at, max(0, min(size, s.size-at)))
}

// storage makes what go-diskfs reads from; nothing can be written to it.
func storage(r io.ReaderAt, size int64) backend.Storage {
	return readOnly{io.NewSectionReader(r, 0, size)}
}

type readOnly struct{ *io.SectionReader }

func (readOnly) Stat() (fs.FileInfo, error) { return nil, backend.ErrNotSuitable }
func (readOnly) Close() error               { return nil }
func (readOnly) Sys() (*os.File, error)     { return nil, backend.ErrNotSuitable }
func (readOnly) Path() string               { return "" }
func (readOnly) Writable() (backend.WritableFile, error) {
	return nil, backend.ErrIncorrectOpenMode
}
