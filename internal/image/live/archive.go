package live

import (
	"io"
	"strings"

	"github.com/cavaliergopher/cpio"
)

// archive is a cpio archive in the newc format with the same bytes for the same
// members: all belong to root and are of no time.
type archive struct {
	*cpio.Writer
	members int64
	dirs    map[string]bool
}

func newArchive(w io.Writer) *archive {
	return &archive{Writer: cpio.NewWriter(w), dirs: map[string]bool{}}
}

func (a *archive) header(name string, mode cpio.FileMode, size int64) error {
	a.members++
	return a.WriteHeader(&cpio.Header{Name: name, Mode: mode, Size: size, Inode: a.members, Links: 1})
}

// add writes a file, and before it the directories that it lies in.
func (a *archive) add(name string, size int64, content io.Reader) error {
	for i, c := range name {
		if dir := name[:i]; c == '/' && !a.dirs[dir] {
			a.dirs[dir] = true
			if err := a.header(dir, cpio.TypeDir|0o755, 0); err != nil {
				return err
			}
		}
	}
	if err := a.header(name, cpio.TypeReg|0o644, size); err != nil {
		return err
	}
	_, err := io.Copy(a.Writer, content)
	return err
}

func (a *archive) file(name, content string) error {
	return a.add(name, int64(len(content)), strings.NewReader(content))
}
