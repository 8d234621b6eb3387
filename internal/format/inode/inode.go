// Package inode has what the readers of file systems with inodes share: modes as
// stat(2) has them, and the content of files that lie in extents.
package inode

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"slices"
)

// MaxEntries bounds the entries of one directory that are read, and MaxBlocks the
// blocks that lead to the extents of one file: more of them are no image, but
// bytes that mean to keep a reader busy.
const (
	MaxEntries = 1 << 16
	MaxBlocks  = 1 << 16
)

// Extent is a piece of a file. All places and lengths are bytes.
type Extent struct {
	File, Length int64 // where in the file
	At           int64 // where in the file system
}

// Check tells whether extents can be those of a file: in order, none without a
// length, and none over another.
func Check(list []Extent) error {
	end := int64(0)
	for _, e := range list {
		switch next := e.File + e.Length; {
		case e.File < 0, e.Length <= 0, next < 0:
			return errors.New("an extent of an impossible length")
		case e.File < end:
			return errors.New("extents out of order")
		default:
			end = next
		}
	}
	return nil
}

// Content reads a file out of its extents, which Check has passed. What lies
// between and behind them is a hole; where the file ends is not known here.
type Content struct {
	Extents []Extent
	Read    func(b []byte, at int64) error // fills b from the file system
}

// ReadAt implements io.ReaderAt.
func (c *Content) ReadAt(p []byte, at int64) (n int, err error) {
	for n < len(p) {
		k, found := slices.BinarySearchFunc(c.Extents, at, func(e Extent, at int64) int { return cmp.Compare(e.File, at) })
		if !found {
			k--
		}
		piece := p[n:]
		if k >= 0 && at < c.Extents[k].File+c.Extents[k].Length {
			e := c.Extents[k]
			piece = piece[:min(int64(len(piece)), e.File+e.Length-at)]
			if err := c.Read(piece, e.At+at-e.File); err != nil {
				return n, err
			}
		} else {
			if k+1 < len(c.Extents) {
				piece = piece[:min(int64(len(piece)), c.Extents[k+1].File-at)]
			}
			clear(piece)
		}
		n, at = n+len(piece), at+int64(len(piece))
	}
	return n, nil
}

// Section is the content of a file of so many bytes.
func (c *Content) Section(size int64) *io.SectionReader { return io.NewSectionReader(c, 0, size) }

// Mode reads the mode of an inode.
func Mode(m uint16) fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	for bit, is := range map[uint16]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if m&bit != 0 {
			mode |= is
		}
	}
	switch m & 0o170000 {
	case 0o040000:
		mode |= fs.ModeDir
	case 0o120000:
		mode |= fs.ModeSymlink
	case 0o100000:
	case 0o020000:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	case 0o060000:
		mode |= fs.ModeDevice
	case 0o010000:
		mode |= fs.ModeNamedPipe
	case 0o140000:
		mode |= fs.ModeSocket
	default:
		mode |= fs.ModeIrregular
	}
	return mode
}
