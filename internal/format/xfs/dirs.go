package xfs

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/nestos/nosa-actions/internal/format/inode"
)

// List gives the entries of a directory but for . and ..
func (f *FS) List(dir Info) ([]Info, error) {
	if !dir.Mode.IsDir() {
		return nil, fmt.Errorf("inode %d is no directory", dir.Inode)
	}
	found := map[string]uint64{}
	if dir.raw[5] == formatLocal {
		if err := f.short(dir.fork(), found); err != nil {
			return nil, fmt.Errorf("%w: directory %d", err, dir.Inode)
		}
	} else if err := f.long(dir, found); err != nil {
		return nil, fmt.Errorf("directory %d: %w", dir.Inode, err)
	}
	var list []Info
	for name, n := range found {
		if name == "." || name == ".." {
			continue
		}
		i, err := f.inode(n)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		i.Name = name
		list = append(list, i)
	}
	slices.SortFunc(list, func(a, b Info) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// short reads a directory that stands in its inode.
func (f *FS) short(b []byte, found map[string]uint64) error {
	if len(b) < 6 {
		return ErrBad
	}
	count, width := int(b[0]), 4
	if b[1] > 0 {
		count, width = int(max(b[0], b[1])), 8
	}
	extra := 0
	if f.ftype {
		extra = 1
	}
	b = b[2+min(width, len(b)-2):]
	for range count {
		if len(b) < 3 || len(b) < 3+int(b[0])+extra+width {
			return ErrBad
		}
		n := int(b[0])
		name, number := string(b[3:3+n]), b[3+n+extra:]
		if width == 4 {
			found[name] = uint64(be.Uint32(number))
		} else {
			found[name] = be.Uint64(number)
		}
		b = number[width:]
	}
	return nil
}

// leafAt is the byte of a directory from which on there are no names but ways to
// find them.
const leafAt = 1 << 35

// long reads a directory in blocks of its own.
func (f *FS) long(dir Info, found map[string]uint64) error {
	list, err := f.extents(dir)
	if err != nil {
		return err
	}
	in := inode.Content{Extents: list, Read: f.read}
	var end int64
	for _, e := range list {
		if e.File < leafAt {
			end = min(e.File+e.Length, leafAt)
		}
	}
	if end > maxDir {
		return fmt.Errorf("%w: it has %d bytes", ErrBad, end)
	}
	b := make([]byte, f.dirBlock)
	for at := int64(0); at < end; at += f.dirBlock {
		if _, err := in.ReadAt(b, at); err != nil {
			return err
		}
		if bytes.Count(b[:dirHead], []byte{0}) == dirHead { // a hole
			continue
		}
		if err := f.names(b, found); err != nil {
			return err
		}
		if len(found) > inode.MaxEntries {
			return fmt.Errorf("%w: it has too many entries", ErrBad)
		}
	}
	return nil
}

// names reads the entries of one block.
func (f *FS) names(b []byte, found map[string]uint64) error {
	end := len(b)
	switch string(b[:4]) {
	case "XDB3": // the only block, with the ways to find names at its end
		if n := int64(be.Uint32(b[end-8:])); n*8+8+dirHead > int64(end) {
			return ErrBad
		} else {
			end -= int(8 + 8*n)
		}
	case "XDD3":
	default:
		return fmt.Errorf("%w: a block of names", ErrBad)
	}
	if !sumFits(b, 4) {
		return fmt.Errorf("%w: the checksum of a block of names is wrong", ErrBad)
	}
	extra := 0
	if f.ftype {
		extra = 1
	}
	for at := dirHead; at+8 <= end; {
		if be.Uint16(b[at:]) == 0xffff {
			length := int(be.Uint16(b[at+2:]))
			if length < 8 || length%8 != 0 {
				return ErrBad
			}
			at += length
			continue
		}
		if at+9 > end || at+9+int(b[at+8]) > end {
			return ErrBad
		}
		n := int(b[at+8])
		found[string(b[at+9:at+9+n])] = be.Uint64(b[at:])
		at += (8 + 1 + n + extra + 2 + 7) &^ 7
	}
	return nil
}
