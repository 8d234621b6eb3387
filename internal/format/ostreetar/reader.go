package ostreetar

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo"
)

// maxXattrs bounds the extended attributes of one layer, which are kept.
const maxXattrs = 64 << 20

// Object is one object of a layer. Its checksum is what the layer says; nothing
// is verified.
type Object struct {
	Kind     ostreerepo.Kind
	Checksum ostreerepo.Checksum
	Data     []byte             // of an object that is not file content
	Header   *ostreerepo.Header // of file content
	Content  io.Reader          // of file content, Header.Size bytes, valid until Next
}

// Reader reads the objects of one layer and passes over everything else. The
// layer is not to be trusted: no name in it leads to a file.
type Reader struct {
	tar    *tar.Reader
	xattrs map[ostreerepo.Checksum][]byte
	kept   int                 // bytes in xattrs
	linked bool                // a file-xattrs-link came and its object is due
	object ostreerepo.Checksum // of that link
	target ostreerepo.Checksum // the extended attributes it names
}

// NewReader begins to read an uncompressed layer.
func NewReader(r io.Reader) *Reader {
	return &Reader{tar: tar.NewReader(r), xattrs: map[ostreerepo.Checksum][]byte{}}
}

// Next returns the next object, or io.EOF at the end of the layer.
func (r *Reader) Next() (*Object, error) {
	for {
		hdr, err := r.tar.Next()
		if err == io.EOF && r.linked {
			return nil, fmt.Errorf("extended attributes of %s without the object", r.object)
		}
		if err != nil {
			return nil, err
		}
		if hdr.Typeflag == tar.TypeDir {
			continue
		}
		kind, sum, ok, err := parseObjectPath(hdr.Name)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		o, err := r.member(hdr, kind, sum)
		if err != nil {
			return nil, fmt.Errorf("object %s.%.20s: %w", sum, kind, err)
		}
		if o != nil {
			return o, nil
		}
	}
}

// member reads one member; it returns nothing for what belongs to a later one.
func (r *Reader) member(hdr *tar.Header, kind ostreerepo.Kind, sum ostreerepo.Checksum) (*Object, error) {
	switch kind {
	case ostreerepo.KindFile:
		return r.file(hdr, sum)
	case xattrsKind:
		return nil, r.keep(hdr, sum)
	case xattrsLinkKind:
		return nil, r.link(hdr, sum)
	case ostreerepo.KindCommit, ostreerepo.KindCommitMeta, ostreerepo.KindDirtree, ostreerepo.KindDirmeta:
		data, err := r.read(hdr, ostreerepo.MaxMetadata)
		return &Object{Kind: kind, Checksum: sum, Data: data}, err
	}
	return nil, errors.New("unknown type of object")
}

func (r *Reader) read(hdr *tar.Header, limit int64) ([]byte, error) {
	if hdr.Typeflag != tar.TypeReg {
		return nil, fmt.Errorf("not a regular file but tar type %q", hdr.Typeflag)
	}
	if hdr.Size > limit {
		return nil, fmt.Errorf("%d bytes are more than the %d that are allowed", hdr.Size, limit)
	}
	data := make([]byte, hdr.Size)
	_, err := io.ReadFull(r.tar, data)
	return data, err
}

func (r *Reader) keep(hdr *tar.Header, sum ostreerepo.Checksum) error {
	data, err := r.read(hdr, ostreerepo.MaxXattrs)
	if err != nil {
		return err
	}
	if got := ostreerepo.Checksum(sha256.Sum256(data)); got != sum {
		return fmt.Errorf("extended attributes have the checksum %s", got)
	}
	return r.remember(sum, data)
}

func (r *Reader) remember(sum ostreerepo.Checksum, data []byte) error {
	if r.kept += len(data); r.kept > maxXattrs {
		return fmt.Errorf("extended attributes of the layer take more than %d bytes", maxXattrs)
	}
	r.xattrs[sum] = data
	return nil
}

// link reads a link, or a copy where a writer had run out of links.
func (r *Reader) link(hdr *tar.Header, object ostreerepo.Checksum) error {
	if r.linked {
		return fmt.Errorf("extended attributes of %s without the object", r.object)
	}
	r.linked, r.object = true, object
	if hdr.Typeflag != tar.TypeLink {
		data, err := r.read(hdr, ostreerepo.MaxXattrs)
		if err != nil {
			return err
		}
		r.target = sha256.Sum256(data)
		return r.remember(r.target, data)
	}
	kind, target, ok, err := parseObjectPath(hdr.Linkname)
	if err != nil {
		return err
	}
	if !ok || kind != xattrsKind {
		return fmt.Errorf("%.200q is not the path of extended attributes", hdr.Linkname)
	}
	r.target = target
	return nil
}

func (r *Reader) file(hdr *tar.Header, sum ostreerepo.Checksum) (*Object, error) {
	if !r.linked || r.object != sum {
		return nil, errors.New("its extended attributes do not stand before it")
	}
	r.linked = false
	xattrs, ok := r.xattrs[r.target]
	if !ok {
		return nil, fmt.Errorf("its extended attributes %s are missing", r.target)
	}
	if hdr.Uid < 0 || hdr.Uid > math.MaxUint32 || hdr.Gid < 0 || hdr.Gid > math.MaxUint32 {
		return nil, fmt.Errorf("owner %d:%d is out of range", hdr.Uid, hdr.Gid)
	}
	h := &ostreerepo.Header{UID: uint32(hdr.Uid), GID: uint32(hdr.Gid), Xattrs: xattrs}
	switch hdr.Typeflag {
	case tar.TypeReg:
		h.Mode = ostreerepo.FileMode(uint32(hdr.Mode & 0o7777))
		h.Size = uint64(hdr.Size)
	case tar.TypeSymlink:
		h.Mode = ostreerepo.LinkMode
		h.Target = hdr.Linkname
	default:
		return nil, fmt.Errorf("neither a file nor a symbolic link but tar type %q", hdr.Typeflag)
	}
	return &Object{Kind: ostreerepo.KindFile, Checksum: sum, Header: h, Content: r.tar}, nil
}
