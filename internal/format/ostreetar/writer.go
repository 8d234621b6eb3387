package ostreetar

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo"
)

// Writer writes one layer. Equal calls give equal bytes.
type Writer struct {
	tar    *tar.Writer
	xattrs map[ostreerepo.Checksum]bool // written already
	buf    []byte
}

// NewWriter begins a layer. w should be buffered: members are written in small
// pieces.
func NewWriter(w io.Writer) *Writer {
	return &Writer{tar: tar.NewWriter(w), xattrs: map[ostreerepo.Checksum]bool{}, buf: make([]byte, 128<<10)}
}

// Close ends the layer. It does not close the underlying writer.
func (w *Writer) Close() error { return w.tar.Close() }

// repoDirs are the directories of a repository beside those of the objects.
var repoDirs = []string{"extensions", "refs", "refs/heads", "refs/mirrors", "refs/remotes", "state", "tmp", "tmp/cache"}

// Repo writes the frame of the repository; it comes before any object.
func (w *Writer) Repo() error {
	dirs := []string{"sysroot", "sysroot/ostree", "sysroot/ostree/repo", "sysroot/ostree/repo/objects"}
	for i := range 256 {
		dirs = append(dirs, fmt.Sprintf("%s%02x", objectDir, i))
	}
	for _, dir := range repoDirs {
		dirs = append(dirs, repoDir+dir)
	}
	for _, dir := range dirs {
		if err := w.dir(dir, 0, 0, 0o755); err != nil {
			return err
		}
	}
	return w.plain(repoDir+"config", []byte(repoConfig))
}

// Dir writes a directory of the tree, given by its absolute path.
func (w *Writer) Dir(path string, h *ostreerepo.Header) error {
	name := LayerPath(path)
	if name == "" {
		name = "."
	}
	return w.dir(name, h.UID, h.GID, h.Perm())
}

// Metadata writes an object that is not file content.
func (w *Writer) Metadata(kind ostreerepo.Kind, sum ostreerepo.Checksum, data []byte) error {
	return w.plain(objectPath(kind, sum), data)
}

// File writes a content object and the paths of the tree that show it. It reads
// h.Size bytes of content.
func (w *Writer) File(sum ostreerepo.Checksum, h *ostreerepo.Header, content io.Reader, paths []string) error {
	if err := w.attributes(sum, h.Xattrs); err != nil {
		return err
	}
	object := objectPath(ostreerepo.KindFile, sum)
	hdr := entry(object, tar.TypeReg, h.UID, h.GID, h.Perm())
	hdr.Size = int64(h.Size)
	if h.Symlink() {
		hdr.Typeflag, hdr.Linkname = tar.TypeSymlink, h.Target
	}
	if err := w.tar.WriteHeader(hdr); err != nil {
		return fmt.Errorf("object %s: %w", sum, err)
	}
	if h.Size > 0 {
		n, err := io.CopyBuffer(struct{ io.Writer }{w.tar}, struct{ io.Reader }{content}, w.buf)
		if err == nil && uint64(n) != h.Size {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("object %s: %w", sum, err)
		}
	}
	for _, path := range paths {
		link := entry(LayerPath(path), tar.TypeLink, h.UID, h.GID, h.Perm())
		link.Linkname = object
		if h.Size == 0 && !h.Symlink() {
			link.Typeflag, link.Linkname = tar.TypeReg, ""
		}
		if err := w.tar.WriteHeader(link); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// attributes writes the extended attributes, unless this layer has them, and
// the link that names them as those of the object.
func (w *Writer) attributes(object ostreerepo.Checksum, xattrs []byte) error {
	sum := ostreerepo.Checksum(sha256.Sum256(xattrs))
	path := objectPath(xattrsKind, sum)
	if !w.xattrs[sum] {
		w.xattrs[sum] = true
		if err := w.plain(path, xattrs); err != nil {
			return err
		}
	}
	link := entry(objectPath(xattrsLinkKind, object), tar.TypeLink, 0, 0, 0o644)
	link.Linkname = path
	return w.tar.WriteHeader(link)
}

func (w *Writer) dir(name string, uid, gid, perm uint32) error {
	return w.tar.WriteHeader(entry(name+"/", tar.TypeDir, uid, gid, perm))
}

func (w *Writer) plain(name string, data []byte) error {
	hdr := entry(name, tar.TypeReg, 0, 0, 0o644)
	hdr.Size = int64(len(data))
	if err := w.tar.WriteHeader(hdr); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	_, err := w.tar.Write(data)
	return err
}

func entry(name string, typ byte, uid, gid, perm uint32) *tar.Header {
	return &tar.Header{
		Name: name, Typeflag: typ,
		Uid: int(uid), Gid: int(gid), Mode: int64(perm),
		ModTime: time.Unix(0, 0), Format: tar.FormatGNU,
	}
}

// ErrOverlap says that two paths of a tree would be one in the layers.
var ErrOverlap = errors.New("path cannot be shown in a container layer")

// CheckPath refuses a path of the tree that the layout takes for itself or that
// /usr/etc is moved to.
func CheckPath(path string) error {
	for _, taken := range []string{"/etc", "/sysroot/ostree"} {
		if path == taken || strings.HasPrefix(path, taken+"/") {
			return fmt.Errorf("%s: %w", path, ErrOverlap)
		}
	}
	return nil
}
