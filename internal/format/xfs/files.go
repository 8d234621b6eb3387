package xfs

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	maxExtents = 1 << 20
	maxLevel   = 9
	maxDir     = 64 << 20 // bytes of the names of one directory
	maxTarget  = 1024     // bytes of a symbolic link

	btreeHead, dirHead, linkHead = 72, 64, 56 // bytes before the content of a block
)

// extent is a piece of a file: so many blocks from a block of the file on lie at
// a byte of the file system.
type extent struct{ file, length, at int64 }

// extents lists the written pieces of a file, in order; between them are holes.
func (f *FS) extents(i Info) ([]extent, error) {
	fork := i.fork()
	var list []extent
	var err error
	switch i.raw[5] {
	case formatExtents:
		n := i.extentCount()
		if n*16 > uint64(len(fork)) {
			return nil, fmt.Errorf("%w: the extents of inode %d", ErrBad, i.Inode)
		}
		list, err = f.records(fork[:n*16], nil)
	case formatBtree:
		level, n := be.Uint16(fork), int(be.Uint16(fork[2:]))
		most := (len(fork) - 4) / 16
		if level == 0 || level > maxLevel || n > most {
			return nil, fmt.Errorf("%w: the extents of inode %d", ErrBad, i.Inode)
		}
		list, err = f.children(fork[4+8*most:], n, int(level)-1, nil)
	case formatLocal:
		if i.Size > 0 {
			return nil, fmt.Errorf("%w: inode %d has no extents", ErrBad, i.Inode)
		}
	default:
		return nil, fmt.Errorf("%w: inode %d is of format %d", ErrBad, i.Inode, i.raw[5])
	}
	if err == nil && !slices.IsSortedFunc(list, func(a, b extent) int { return cmp.Compare(a.file, b.file) }) {
		err = fmt.Errorf("%w: the extents of inode %d are out of order", ErrBad, i.Inode)
	}
	return list, err
}

// records reads packed extents.
func (f *FS) records(b []byte, list []extent) ([]extent, error) {
	for ; len(b) >= 16; b = b[16:] {
		high, low := be.Uint64(b), be.Uint64(b[8:])
		if high>>63 != 0 { // there, but never written
			continue
		}
		at, err := f.place(high&0x1ff<<43 | low>>21)
		if err != nil {
			return nil, err
		}
		if list = append(list, extent{int64(high >> 9), int64(low & 0x1fffff), at}); len(list) > maxExtents {
			return nil, fmt.Errorf("%w: too many extents", ErrBad)
		}
	}
	return list, nil
}

// children reads the blocks of a tree of extents that a node points to.
func (f *FS) children(pointers []byte, n, level int, list []extent) ([]extent, error) {
	if 8*n > len(pointers) {
		return nil, fmt.Errorf("%w: a tree of extents", ErrBad)
	}
	for k := range n {
		at, err := f.place(be.Uint64(pointers[8*k:]))
		if err != nil {
			return nil, err
		}
		b := make([]byte, f.BlockSize)
		if err := f.read(b, at); err != nil {
			return nil, err
		}
		count, most := int(be.Uint16(b[6:])), (len(b)-btreeHead)/16
		if string(b[:4]) != "BMA3" || int(be.Uint16(b[4:])) != level || count > most || !sumFits(b, 64) {
			return nil, fmt.Errorf("%w: a tree of extents", ErrBad)
		}
		if level == 0 {
			list, err = f.records(b[btreeHead:btreeHead+16*count], list)
		} else {
			list, err = f.children(b[btreeHead+8*most:], count, level-1, list)
		}
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Open gives the content of a regular file.
func (f *FS) Open(i Info) (*io.SectionReader, error) {
	if !i.Mode.IsRegular() {
		return nil, fmt.Errorf("inode %d is no regular file", i.Inode)
	}
	list, err := f.extents(i)
	if err != nil {
		return nil, err
	}
	return io.NewSectionReader(&body{f, list}, 0, i.Size), nil
}

// body reads from the pieces of a file, of which the end is not known here.
type body struct {
	f    *FS
	list []extent
}

// ReadAt implements io.ReaderAt.
func (b *body) ReadAt(p []byte, at int64) (n int, err error) {
	size := b.f.BlockSize
	for n < len(p) {
		k, found := slices.BinarySearchFunc(b.list, at/size, func(e extent, block int64) int { return cmp.Compare(e.file, block) })
		if !found {
			k--
		}
		hole, piece := int64(len(p)-n), p[n:]
		if k+1 < len(b.list) {
			hole = min(hole, b.list[k+1].file*size-at)
		}
		if k >= 0 {
			if e := b.list[k]; at < (e.file+e.length)*size {
				piece = piece[:min(int64(len(piece)), (e.file+e.length)*size-at)]
				if err := b.f.read(piece, e.at+at-e.file*size); err != nil {
					return n, err
				}
				n, at = n+len(piece), at+int64(len(piece))
				continue
			}
		}
		clear(piece[:hole])
		n, at = n+int(hole), at+hole
	}
	return n, nil
}

// Target is where a symbolic link leads.
func (f *FS) Target(i Info) (string, error) {
	if i.Size > maxTarget {
		return "", fmt.Errorf("%w: a link of %d bytes", ErrBad, i.Size)
	}
	if i.raw[5] == formatLocal {
		if fork := i.fork(); i.Size <= int64(len(fork)) {
			return string(fork[:i.Size]), nil
		}
		return "", fmt.Errorf("%w: a link of %d bytes in an inode", ErrBad, i.Size)
	}
	list, err := f.extents(i)
	if err != nil {
		return "", err
	}
	var text []byte
	for _, e := range list {
		for k := int64(0); k < e.length && int64(len(text)) < i.Size; k++ {
			b := make([]byte, f.BlockSize)
			if err := f.read(b, e.at+k*f.BlockSize); err != nil {
				return "", err
			}
			if string(b[:4]) != "XSLM" {
				return "", fmt.Errorf("%w: a link", ErrBad)
			}
			text = append(text, b[linkHead:]...)
		}
	}
	if int64(len(text)) < i.Size {
		return "", fmt.Errorf("%w: a link", ErrBad)
	}
	return string(text[:i.Size]), nil
}

// ErrElsewhere says that attributes do not stand in the inode, where alone they
// are looked for.
var ErrElsewhere = errors.New("the extended attributes are not in the inode")

// Xattrs are the extended attributes of a file, by name.
func (f *FS) Xattrs(i Info) (map[string][]byte, error) {
	out := map[string][]byte{}
	at := coreSize + 8*int(i.raw[82])
	if i.raw[82] == 0 || at+4 > len(i.raw) {
		return out, nil
	}
	if i.raw[83] != formatLocal {
		if i.raw[83] == formatExtents && i.attrExtents() == 0 {
			return out, nil
		}
		return nil, ErrElsewhere
	}
	b := i.raw[at:]
	count := int(b[2])
	for b = b[4:]; count > 0; count-- {
		if len(b) < 3 || len(b) < 3+int(b[0])+int(b[1]) {
			return nil, fmt.Errorf("%w: extended attributes of inode %d", ErrBad, i.Inode)
		}
		name, value := int(b[0]), int(b[1])
		prefix := "user."
		switch {
		case b[2]&0x2 != 0:
			prefix = "trusted."
		case b[2]&0x4 != 0:
			prefix = "security."
		}
		if b[2]&0x88 == 0 { // neither half-made nor about a parent
			out[prefix+string(b[3:3+name])] = slices.Clone(b[3+name:][:value])
		}
		b = b[3+name+value:]
	}
	return out, nil
}
