package ext4

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/nestos/nosa-actions/internal/format/inode"
)

const (
	flagImmutable = 0x10
	flagExtents   = 0x80000
	flagInline    = 0x10000000

	extentMagic = 0xf30a
	maxDepth    = 5     // of an extent tree
	unwritten   = 32768 // an extent longer than this is there, but reads as zeros

	maxDir    = 64 << 20 // bytes of one directory
	maxTarget = 4096     // bytes of a symbolic link
)

// extents lists the pieces of a file, in order. What lies between them is a hole.
func (f *FS) extents(i Info) ([]inode.Extent, error) {
	flags := binary.LittleEndian.Uint32(i.raw[0x20:])
	if flags&flagInline != 0 || flags&flagExtents == 0 {
		if i.Size == 0 {
			return nil, nil
		}
		return nil, fmt.Errorf("%w: inode %d has no extents", ErrBad, i.Inode)
	}
	t := tree{f: f, of: i}
	if err := t.node(i.raw[0x28:0x64], -1); err != nil {
		return nil, err
	}
	if err := inode.Check(t.list); err != nil {
		return nil, fmt.Errorf("%w: inode %d: %w", ErrBad, i.Inode, err)
	}
	return t.list, nil
}

// tree gathers the extents of a file.
type tree struct {
	f      *FS
	of     Info
	list   []inode.Extent
	blocks int // that were read
}

// node reads a node of an extent tree; depth is what the node above promised, or
// -1.
func (t *tree) node(node []byte, depth int) error {
	le := binary.LittleEndian
	count, here := int(le.Uint16(node[2:])), int(le.Uint16(node[6:]))
	if le.Uint16(node) != extentMagic || here > maxDepth || (depth >= 0 && here != depth) || 12*(count+1) > len(node) {
		return fmt.Errorf("%w: the extents of inode %d", ErrBad, t.of.Inode)
	}
	for n := range count {
		e := node[12*(n+1):][:12]
		var err error
		if here == 0 {
			t.extent(e)
		} else {
			err = t.below(int64(le.Uint32(e[4:]))|int64(le.Uint16(e[8:]))<<32, here-1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// extent reads one entry of a leaf.
func (t *tree) extent(e []byte) {
	le := binary.LittleEndian
	length := int64(le.Uint16(e[4:]))
	if length > unwritten {
		return
	}
	at := int64(le.Uint32(e[8:])) | int64(le.Uint16(e[6:]))<<32
	size := t.f.BlockSize
	t.list = append(t.list, inode.Extent{File: int64(le.Uint32(e)) * size, Length: length * size, At: at * size})
}

// below reads the node in a block.
func (t *tree) below(at int64, depth int) error {
	if t.blocks++; t.blocks > inode.MaxBlocks {
		return fmt.Errorf("%w: the extents of inode %d have no end", ErrBad, t.of.Inode)
	}
	block := make([]byte, t.f.BlockSize)
	if err := t.f.read(block, at*t.f.BlockSize); err != nil {
		return err
	}
	if err := t.f.checkTail(t.of, block, 12+12*int(binary.LittleEndian.Uint16(block[4:]))); err != nil {
		return err
	}
	return t.node(block, depth)
}

// checkTail holds a block that belongs to an inode against the checksum that
// stands at an offset of it.
func (f *FS) checkTail(i Info, block []byte, at int) error {
	if !f.csum {
		return nil
	}
	if at+4 > len(block) || checksum(f.inodeSeed(i.Inode, i.raw), block[:at]) != binary.LittleEndian.Uint32(block[at:]) {
		return fmt.Errorf("%w: the checksum of a block of inode %d is wrong", ErrBad, i.Inode)
	}
	return nil
}

// Open gives the content of a regular file.
func (f *FS) Open(i Info) (*io.SectionReader, error) {
	if !i.Mode.IsRegular() {
		return nil, fmt.Errorf("inode %d is no regular file", i.Inode)
	}
	return f.content(i)
}

func (f *FS) content(i Info) (*io.SectionReader, error) {
	list, err := f.extents(i)
	if err != nil {
		return nil, err
	}
	content := inode.Content{Extents: list, Read: f.read}
	return content.Section(i.Size), nil
}

// Target is where a symbolic link leads.
func (f *FS) Target(i Info) (string, error) {
	switch {
	case i.Size > maxTarget:
		return "", fmt.Errorf("%w: a link of %d bytes", ErrBad, i.Size)
	case i.Size < 60: // in the inode itself
		return string(i.raw[0x28:][:i.Size]), nil
	}
	in, err := f.content(i)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(in)
	return string(text), err
}

// List gives the entries of a directory but for . and .., in the order of the
// directory. Hashed directories are read as plain ones, which they also are.
func (f *FS) List(dir Info) ([]Info, error) {
	if !dir.Mode.IsDir() {
		return nil, fmt.Errorf("inode %d is no directory", dir.Inode)
	}
	if dir.Size > maxDir || dir.Size%f.BlockSize != 0 {
		return nil, fmt.Errorf("%w: a directory of %d bytes", ErrBad, dir.Size)
	}
	in, err := f.content(dir)
	if err != nil {
		return nil, err
	}
	var list []Info
	block := make([]byte, f.BlockSize)
	for at := int64(0); at < dir.Size; at += f.BlockSize {
		if _, err := in.ReadAt(block, at); err != nil {
			return nil, err
		}
		if list, err = f.dirBlock(dir, block, list); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// dirBlock appends the entries of a block of a directory.
func (f *FS) dirBlock(dir Info, block []byte, list []Info) ([]Info, error) {
	le := binary.LittleEndian
	if tail := block[len(block)-12:]; f.csum && le.Uint16(tail[4:]) == 12 && tail[7] == 0xde {
		if checksum(f.inodeSeed(dir.Inode, dir.raw), block[:len(block)-12]) != le.Uint32(tail[8:]) {
			return nil, fmt.Errorf("%w: the checksum of directory %d is wrong", ErrBad, dir.Inode)
		}
	}
	for at := 0; at+8 <= len(block); {
		number, length, name := le.Uint32(block[at:]), int(le.Uint16(block[at+4:])), int(block[at+6])
		if length == 0 && len(block) == 1<<16 {
			length = 1 << 16
		}
		if length < 8 || length%4 != 0 || at+length > len(block) || name > length-8 {
			return nil, fmt.Errorf("%w: an entry of directory %d", ErrBad, dir.Inode)
		}
		word := string(block[at+8:][:name])
		at += length
		if number == 0 || name == 0 || word == "." || word == ".." {
			continue
		}
		i, err := f.inode(number)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", word, err)
		}
		i.Name = word
		if list = append(list, i); len(list) > inode.MaxEntries {
			return nil, fmt.Errorf("%w: directory %d has too many entries", ErrBad, dir.Inode)
		}
	}
	return list, nil
}
