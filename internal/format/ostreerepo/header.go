package ostreerepo

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"sort"

	"github.com/nestos/nosa-actions/internal/format/gvariant"
)

// The file types in a mode, as in stat(2).
const (
	typeMask = 0o170000
	typeDir  = 0o040000
	typeFile = 0o100000
	typeLink = 0o120000
)

// LinkMode is the mode of every symbolic link.
const LinkMode uint32 = typeLink | 0o777

// FileMode is the mode of a regular file with these permissions.
func FileMode(perm uint32) uint32 { return typeFile | perm }

// MaxXattrs is the size in bytes up to which the extended attributes of one
// file are accepted.
const MaxXattrs = 1 << 20

// Header is what a content object says beside the content. Content and all of
// the header but Size make up the object's checksum.
type Header struct {
	UID, GID uint32
	Mode     uint32 // with the bits of the file type: regular file or symbolic link
	Target   string // of a symbolic link
	Xattrs   []byte // serialised as the object has them; ParseXattrs reads it
	Size     uint64 // of the content; 0 for a symbolic link
}

// Symlink tells whether the object is a symbolic link.
func (h *Header) Symlink() bool { return h.Mode&typeMask == typeLink }

// Perm is the mode without the bits of the file type.
func (h *Header) Perm() uint32 { return h.Mode &^ typeMask }

// Xattr is one extended attribute.
type Xattr struct {
	Name  string
	Value []byte
}

// ParseXattrs reads serialised extended attributes.
func ParseXattrs(data []byte) ([]Xattr, error) {
	if len(data) > MaxXattrs {
		return nil, fmt.Errorf("extended attributes take more than %d bytes", MaxXattrs)
	}
	items, err := gvariant.Split("a(ayay)", data)
	if err != nil {
		return nil, fmt.Errorf("extended attributes: %w", err)
	}
	var list []Xattr
	for _, item := range items {
		f, err := gvariant.Split("(ayay)", item)
		if err != nil {
			return nil, fmt.Errorf("extended attributes: %w", err)
		}
		name, ended := bytes.CutSuffix(f[0], []byte{0})
		if !ended || len(name) == 0 || bytes.IndexByte(name, 0) >= 0 {
			return nil, fmt.Errorf("%q is not the name of an extended attribute", f[0])
		}
		list = append(list, Xattr{Name: string(name), Value: f[1]})
	}
	return list, nil
}

// EncodeXattrs serialises extended attributes, sorted by name as libostree does.
func EncodeXattrs(list []Xattr) []byte {
	list = append([]Xattr(nil), list...)
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	var body []byte
	var ends []int
	for _, x := range list {
		name := append([]byte(x.Name), 0)
		pair := append(append([]byte(nil), name...), x.Value...)
		body = append(body, frame(pair, len(name))...)
		ends = append(ends, len(body))
	}
	return frame(body, ends...)
}

// frame appends the framing offsets to the body of a container.
func frame(body []byte, offsets ...int) []byte {
	width := 1
	for gvariant.OffsetSize(len(body)+width*len(offsets)) > width {
		width *= 2
	}
	for _, offset := range offsets {
		body = append(body, binary.LittleEndian.AppendUint64(nil, uint64(offset))[:width]...)
	}
	return body
}

// encode is the header as the checksum covers it: (uuuusa(ayay)), numbers
// big-endian, the fourth being a device number that is always 0.
func (h *Header) encode() []byte { return h.tail(nil) }

// encodeArchive is the header of a file in an archive repository, which has the
// content's size in front: (tuuuusa(ayay)).
func (h *Header) encodeArchive() []byte {
	return h.tail(binary.BigEndian.AppendUint64(nil, h.Size))
}

func (h *Header) tail(b []byte) []byte {
	for _, v := range []uint32{h.UID, h.GID, h.Mode, 0} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	b = append(b, h.Target...)
	b = append(b, 0)
	end := len(b)
	return frame(append(b, h.Xattrs...), end)
}

// withLength puts the length before a header, padded to 8 bytes.
func withLength(header []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(header)))
	return append(append(b, 0, 0, 0, 0), header...)
}

// NewHash begins the checksum of a content object; the content comes next.
func (h *Header) NewHash() hash.Hash {
	sum := sha256.New()
	sum.Write(withLength(h.encode()))
	return sum
}

// check refuses what no content object can be.
func (h *Header) check() error {
	switch h.Mode & typeMask {
	case typeFile:
		if h.Target != "" {
			return errors.New("a regular file has a link target")
		}
	case typeLink:
		if h.Target == "" || h.Size != 0 {
			return errors.New("a symbolic link has no target, or content")
		}
	default:
		return fmt.Errorf("mode %#o is neither that of a file nor of a symbolic link", h.Mode)
	}
	_, err := ParseXattrs(h.Xattrs)
	return err
}

// parseArchiveHeader reads what encodeArchive writes.
func parseArchiveHeader(data []byte) (*Header, error) {
	f, err := gvariant.Split("(tuuuusa(ayay))", data)
	if err != nil {
		return nil, err
	}
	target, err := gvariant.Decode("s", f[5])
	if err != nil {
		return nil, err
	}
	be := binary.BigEndian
	h := &Header{
		Size: be.Uint64(f[0]),
		UID:  be.Uint32(f[1]), GID: be.Uint32(f[2]), Mode: be.Uint32(f[3]),
		Target: target.(string), Xattrs: f[6],
	}
	if be.Uint32(f[4]) != 0 {
		return nil, errors.New("a content object has a device number")
	}
	return h, h.check()
}
