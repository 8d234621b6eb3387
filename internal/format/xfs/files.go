package xfs

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/nestos/nosa-actions/internal/format/inode"
)

const (
	maxLevel  = 9
	maxDir    = 64 << 20 // bytes of the names of one directory
	maxTarget = 1024     // bytes of a symbolic link

	btreeHead, dirHead, linkHead = 72, 64, 56 // bytes before the content of a block
)

// extents lists the written pieces of a file, in order; between them are holes.
func (f *FS) extents(i Info) ([]inode.Extent, error) {
	bad := fmt.Errorf("%w: the extents of inode %d", ErrBad, i.Inode)
	fork, t := i.fork(), tree{f: f}
	var err error
	switch i.raw[5] {
	case formatExtents:
		n := i.extentCount()
		if n > uint64(len(fork)/16) {
			return nil, bad
		}
		err = t.records(fork[:n*16])
	case formatBtree:
		level, n := be.Uint16(fork), int(be.Uint16(fork[2:]))
		most := (len(fork) - 4) / 16
		if level == 0 || level > maxLevel || n > most {
			return nil, bad
		}
		err = t.children(fork[4+8*most:], n, int(level)-1)
	case formatLocal:
		if i.Size > 0 {
			return nil, fmt.Errorf("%w: inode %d has no extents", ErrBad, i.Inode)
		}
	default:
		return nil, fmt.Errorf("%w: inode %d is of format %d", ErrBad, i.Inode, i.raw[5])
	}
	if err != nil {
		return nil, err
	}
	if err := inode.Check(t.list); err != nil {
		return nil, fmt.Errorf("%w: %w", bad, err)
	}
	return t.list, nil
}

// tree gathers the extents of a file.
type tree struct {
	f      *FS
	list   []inode.Extent
	blocks int // that were read
}

// records reads packed extents.
func (t *tree) records(b []byte) error {
	size := t.f.BlockSize
	for ; len(b) >= 16; b = b[16:] {
		high, low := be.Uint64(b), be.Uint64(b[8:])
		if high>>63 != 0 { // there, but never written
			continue
		}
		at, err := t.f.place(high&0x1ff<<43 | low>>21)
		if err != nil {
			return err
		}
		file := int64(high >> 9)
		if file > math.MaxInt64/size {
			return fmt.Errorf("%w: an extent at block %d of a file", ErrBad, file)
		}
		t.list = append(t.list, inode.Extent{File: file * size, Length: int64(low&0x1fffff) * size, At: at})
	}
	return nil
}

// children reads the blocks of a tree of extents that a node points to.
func (t *tree) children(pointers []byte, n, level int) error {
	bad := fmt.Errorf("%w: a tree of extents", ErrBad)
	if 8*n > len(pointers) {
		return bad
	}
	for k := range n {
		if t.blocks++; t.blocks > inode.MaxBlocks {
			return fmt.Errorf("%w without an end", bad)
		}
		at, err := t.f.place(be.Uint64(pointers[8*k:]))
		if err != nil {
			return err
		}
		b := make([]byte, t.f.BlockSize)
		if err := t.f.read(b, at); err != nil {
			return err
		}
		count, most := int(be.Uint16(b[6:])), (len(b)-btreeHead)/16
		if string(b[:4]) != "BMA3" || int(be.Uint16(b[4:])) != level || count > most || !sumFits(b, 64) {
			return bad
		}
		if level == 0 {
			err = t.records(b[btreeHead : btreeHead+16*count])
		} else {
			err = t.children(b[btreeHead+8*most:], count, level-1)
		}
		if err != nil {
			return err
		}
	}
	return nil
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
	content := inode.Content{Extents: list, Read: f.read}
	return content.Section(i.Size), nil
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
		for k := int64(0); k < e.Length && int64(len(text)) < i.Size; k += f.BlockSize {
			b := make([]byte, f.BlockSize)
			if err := f.read(b, e.At+k); err != nil {
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
