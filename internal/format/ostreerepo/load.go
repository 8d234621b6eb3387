package ostreerepo

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/format/gvariant"
)

// File loads a content object: its header and, for a regular file, a reader of
// exactly Size bytes, which the caller closes. The checksum is not verified.
func (r *Repo) File(sum Checksum) (*Header, io.ReadCloser, error) {
	h, content, err := r.file(sum, true)
	return h, content, err
}

// Header loads a content object without its content.
func (r *Repo) Header(sum Checksum) (*Header, error) {
	h, _, err := r.file(sum, false)
	return h, err
}

func (r *Repo) file(sum Checksum, content bool) (*Header, io.ReadCloser, error) {
	load := r.bareFile
	switch r.mode {
	case ModeArchive:
		load = r.archiveFile
	case ModeBareUser:
		load = r.bareUserFile
	}
	h, body, err := load(r.path(KindFile, sum), content)
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, nil, fmt.Errorf("file %s: %w", sum, err)
	}
	return h, body, nil
}

// nothing is the content of a symbolic link.
var nothing = io.NopCloser(strings.NewReader(""))

// inflater reads the compressed content of an archive's object; both of its
// readers are costly to make anew for each small file.
type inflater struct {
	file  *os.File
	in    *bufio.Reader
	flate io.ReadCloser
	left  uint64
}

var inflaters = sync.Pool{New: func() any {
	in := bufio.NewReaderSize(nil, 32<<10)
	return &inflater{in: in, flate: flate.NewReader(in)}
}}

func (r *Repo) archiveFile(path string, content bool) (*Header, io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	z := inflaters.Get().(*inflater)
	z.file = f
	z.in.Reset(f)
	h, err := readArchiveHeader(z.in)
	if err != nil || !content || h.Symlink() {
		z.Close()
		return h, nothing, err
	}
	if err := z.flate.(flate.Resetter).Reset(z.in, nil); err != nil {
		z.Close()
		return nil, nil, err
	}
	z.left = h.Size
	return h, &compressed{z}, nil
}

// readArchiveHeader reads the length, the padding and the header.
func readArchiveHeader(in io.Reader) (*Header, error) {
	var prefix [8]byte
	if _, err := io.ReadFull(in, prefix[:]); err != nil {
		return nil, fmt.Errorf("header is cut off: %w", err)
	}
	n := binary.BigEndian.Uint32(prefix[:4])
	if n > MaxXattrs+(64<<10) {
		return nil, fmt.Errorf("header of %d bytes is too large", n)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(in, data); err != nil {
		return nil, fmt.Errorf("header is cut off: %w", err)
	}
	return parseArchiveHeader(data)
}

// Close lets go of the file and of the inflater.
func (z *inflater) Close() error {
	err := z.file.Close()
	z.file = nil
	inflaters.Put(z)
	return err
}

// compressed is content being read. It stands between the caller and the
// inflater, which after Close belongs to another file.
type compressed struct{ z *inflater }

// Read holds the content against the size that the header gave.
func (c *compressed) Read(p []byte) (int, error) {
	if c.z == nil {
		return 0, fs.ErrClosed
	}
	n, err := c.z.flate.Read(p)
	if uint64(n) > c.z.left {
		return 0, errors.New("content is longer than the header says")
	}
	c.z.left -= uint64(n)
	if err == io.EOF && c.z.left > 0 {
		err = fmt.Errorf("content is %d bytes short: %w", c.z.left, io.ErrUnexpectedEOF)
	}
	return n, err
}

func (c *compressed) Close() error {
	if c.z == nil {
		return nil
	}
	z := c.z
	c.z = nil
	return z.Close()
}

func (r *Repo) bareFile(path string, content bool) (*Header, io.ReadCloser, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return nil, nil, err
	}
	list, err := listXattrs(path)
	if err != nil {
		return nil, nil, err
	}
	h := &Header{UID: st.Uid, GID: st.Gid, Mode: st.Mode, Xattrs: EncodeXattrs(list)}
	if h.Symlink() {
		h.Target, err = os.Readlink(path)
		return h, nothing, err
	}
	h.Size = uint64(st.Size)
	if err := h.check(); err != nil || !content {
		return h, nothing, err
	}
	f, err := os.Open(path)
	return h, f, err
}

// bareUserMeta is the extended attribute in which a bare-user repository keeps
// (uuua(ayay)): owner, group, mode and the true extended attributes.
const bareUserMeta = "user.ostreemeta"

func (r *Repo) bareUserFile(path string, content bool) (*Header, io.ReadCloser, error) {
	data, err := getXattr(path, bareUserMeta)
	if err != nil {
		return nil, nil, err
	}
	f, err := gvariant.Split("(uuua(ayay))", data)
	if err != nil {
		return nil, nil, err
	}
	be := binary.BigEndian
	h := &Header{UID: be.Uint32(f[0]), GID: be.Uint32(f[1]), Mode: be.Uint32(f[2]), Xattrs: f[3]}
	if h.Symlink() {
		target, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, err
		}
		h.Target = strings.TrimSuffix(string(target), "\x00")
		return h, nothing, h.check()
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	h.Size = uint64(info.Size())
	if err := h.check(); err != nil || !content {
		return h, nothing, err
	}
	file, err := os.Open(path)
	return h, file, err
}

func listXattrs(path string) ([]Xattr, error) {
	var buf [4096]byte
	names := buf[:]
	n, err := unix.Llistxattr(path, names)
	if err == unix.ERANGE {
		names = make([]byte, 64<<10) // the kernel's own limit
		n, err = unix.Llistxattr(path, names)
	}
	if err == unix.ENOTSUP {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Xattr
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		value, err := getXattr(path, name)
		if err != nil {
			return nil, err
		}
		if len(value) > 0 { // ostree does not see empty ones
			list = append(list, Xattr{Name: name, Value: value})
		}
	}
	return list, nil
}

func getXattr(path, name string) ([]byte, error) {
	value := make([]byte, 1024)
	n, err := unix.Lgetxattr(path, name, value)
	if err == unix.ERANGE {
		value = make([]byte, 64<<10) // the kernel's own limit
		n, err = unix.Lgetxattr(path, name, value)
	}
	if err != nil {
		return nil, fmt.Errorf("extended attribute %s: %w", name, err)
	}
	return value[:n], nil
}
