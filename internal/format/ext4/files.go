package ext4

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
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

// extent is a piece of a file: so many blocks from a block of the file lie at a
// block of the file system.
type extent struct {
	file, length int64
	at           int64
}

// extents lists the pieces of a file, in order. What lies between them is a hole.
func (f *FS) extents(i Info) ([]extent, error) {
	flags := binary.LittleEndian.Uint32(i.raw[0x20:])
	if flags&flagInline != 0 || flags&flagExtents == 0 {
		if i.Size == 0 {
			return nil, nil
		}
		return nil, fmt.Errorf("%w: inode %d has no extents", ErrBad, i.Inode)
	}
	var list []extent
	err := f.tree(i, i.raw[0x28:0x64], -1, &list)
	if err == nil && !slices.IsSortedFunc(list, func(a, b extent) int { return int(min(1, max(-1, a.file-b.file))) }) {
		err = fmt.Errorf("%w: the extents of inode %d are out of order", ErrBad, i.Inode)
	}
	return list, err
}

// tree reads a node of an extent tree; depth is what the node above promised, or
// -1.
func (f *FS) tree(i Info, node []byte, depth int, list *[]extent) error {
	le := binary.LittleEndian
	count, here := int(le.Uint16(node[2:])), int(le.Uint16(node[6:]))
	if le.Uint16(node) != extentMagic || here > maxDepth || (depth >= 0 && here != depth) || 12*(count+1) > len(node) || len(*list) > 1<<20 {
		return fmt.Errorf("%w: the extents of inode %d", ErrBad, i.Inode)
	}
	for n := range count {
		e := node[12*(n+1):][:12]
		if here == 0 {
			length := int64(le.Uint16(e[4:]))
			if length > unwritten {
				continue
			}
			*list = append(*list, extent{int64(le.Uint32(e)), length, int64(le.Uint32(e[8:])) | int64(le.Uint16(e[6:]))<<32})
			continue
		}
		block := make([]byte, f.BlockSize)
		if err := f.read(block, (int64(le.Uint32(e[4:]))|int64(le.Uint16(e[8:]))<<32)*f.BlockSize); err != nil {
			return err
		}
		if err := f.checkTail(i, block, 12+12*int(le.Uint16(block[4:]))); err != nil {
			return err
		}
		if err := f.tree(i, block, here-1, list); err != nil {
			return err
		}
	}
	return nil
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
		k, found := slices.BinarySearchFunc(b.list, at/size, func(e extent, block int64) int {
			return int(min(1, max(-1, e.file-block)))
		})
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
				if err := b.f.read(piece, e.at*size+at-e.file*size); err != nil {
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
		inode, length, name := le.Uint32(block[at:]), int(le.Uint16(block[at+4:])), int(block[at+6])
		if length == 0 && len(block) == 1<<16 {
			length = 1 << 16
		}
		if length < 8 || length%4 != 0 || at+length > len(block) || name > length-8 {
			return nil, fmt.Errorf("%w: an entry of directory %d", ErrBad, dir.Inode)
		}
		word := string(block[at+8:][:name])
		at += length
		if inode == 0 || name == 0 || word == "." || word == ".." {
			continue
		}
		i, err := f.inode(inode)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", word, err)
		}
		i.Name = word
		list = append(list, i)
	}
	return list, nil
}
