package ext4

import (
	"encoding/binary"
	"fmt"
)

const (
	xattrMagic = 0xea020000
	xattrHead  = 32 // bytes before the entries in a block of their own
)

// prefixes are the begins of names, by their numbers.
var prefixes = map[byte]string{
	0: "", 1: "user.", 2: "system.posix_acl_access", 3: "system.posix_acl_default", 4: "trusted.", 6: "security.", 7: "system.",
}

// Xattrs are the extended attributes of a file, by name.
func (f *FS) Xattrs(i Info) (map[string][]byte, error) {
	le := binary.LittleEndian
	out := map[string][]byte{}
	if len(i.raw) > 130 {
		if extra := 128 + int(le.Uint16(i.raw[128:])); extra+4 <= len(i.raw) && le.Uint32(i.raw[extra:]) == xattrMagic {
			if err := xattrs(i.raw[extra+4:], 0, out); err != nil {
				return nil, fmt.Errorf("%w: extended attributes of inode %d", err, i.Inode)
			}
		}
	}
	at := int64(le.Uint32(i.raw[0x68:])) | int64(le.Uint16(i.raw[0x76:]))<<32
	if at == 0 {
		return out, nil
	}
	block := make([]byte, f.BlockSize)
	if err := f.read(block, at*f.BlockSize); err != nil {
		return nil, err
	}
	if le.Uint32(block) != xattrMagic {
		return nil, fmt.Errorf("%w: extended attributes of inode %d", ErrBad, i.Inode)
	}
	if err := xattrs(block, xattrHead, out); err != nil {
		return nil, fmt.Errorf("%w: extended attributes of inode %d", err, i.Inode)
	}
	return out, nil
}

// xattrs reads the entries from an offset of an area on; values are found from
// the begin of the area.
func xattrs(area []byte, at int, out map[string][]byte) error {
	le := binary.LittleEndian
	for at+4 <= len(area) && le.Uint32(area[at:]) != 0 {
		if at+16 > len(area) {
			return ErrBad
		}
		length, prefix, known := int(area[at]), "", false
		prefix, known = prefixes[area[at+1]]
		value, size := int(le.Uint16(area[at+2:])), int(le.Uint32(area[at+8:]))
		if !known || at+16+length > len(area) || le.Uint32(area[at+4:]) != 0 || size > len(area) || value+size > len(area) {
			return ErrBad
		}
		out[prefix+string(area[at+16:][:length])] = area[value:][:size]
		at += (16 + length + 3) &^ 3
	}
	return nil
}
