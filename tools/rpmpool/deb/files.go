package deb

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"compress/gzip"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// maxBody bounds one file; the largest of Debian's are far below.
const maxBody = 1 << 30

// Kind is the type of a file in a package.
type Kind int

// The kinds that packages hold. Hard links become regular files.
const (
	Regular Kind = iota
	Directory
	Symlink
)

// File is a file of a package.
type File struct {
	Name    string // absolute and clean
	Kind    Kind
	Mode    uint // permission bits with set-id and sticky bits
	Owner   string
	Group   string
	ModTime time.Time
	Target  string // of a symbolic link
	Body    []byte // of a regular file
}

// untar reads a data archive. Names that would leave the root stay below it.
func untar(r io.Reader) ([]File, error) {
	archive := tar.NewReader(r)
	var files []File
	at := map[string]int{}
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		f := File{
			Name:    path.Clean("/" + h.Name),
			Mode:    uint(h.Mode) & 0o7777,
			Owner:   h.Uname,
			Group:   h.Gname,
			ModTime: h.ModTime,
		}
		if err := f.fill(archive, h, func(name string) (File, bool) {
			i, ok := at[name]
			if !ok {
				return File{}, false
			}
			return files[i], true
		}); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		at[f.Name] = len(files)
		files = append(files, f)
	}
}

// fill gives f what depends on its type; other finds an earlier file.
func (f *File) fill(body io.Reader, h *tar.Header, other func(string) (File, bool)) error {
	switch h.Typeflag {
	case tar.TypeDir:
		f.Kind = Directory
	case tar.TypeSymlink:
		f.Kind, f.Mode, f.Target = Symlink, 0o777, h.Linkname
	case tar.TypeLink:
		first, ok := other(path.Clean("/" + h.Linkname))
		if !ok || first.Kind != Regular {
			return fmt.Errorf("hard link to %s, which does not come before", h.Linkname)
		}
		f.Kind, f.Mode, f.Body = Regular, first.Mode, first.Body
	case tar.TypeReg:
		if h.Size > maxBody {
			return fmt.Errorf("%d bytes are more than a package file may have", h.Size)
		}
		data, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		f.Kind, f.Body = Regular, data
	default:
		return fmt.Errorf("file type %q does not belong into a package", h.Typeflag)
	}
	return nil
}

// decompress chooses by the name's ending, as dpkg does.
func decompress(name string, r io.Reader) (io.ReadCloser, error) {
	_, ending, _ := strings.Cut(name, ".tar")
	switch ending {
	case "":
		return io.NopCloser(r), nil
	case ".gz":
		return gzip.NewReader(r)
	case ".xz":
		plain, err := xz.NewReader(r)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(plain), nil
	case ".zst":
		plain, err := zstd.NewReader(r, zstd.WithDecoderMaxMemory(maxBody))
		if err != nil {
			return nil, err
		}
		return plain.IOReadCloser(), nil
	default:
		return nil, fmt.Errorf("compression %s is not known", ending)
	}
}
