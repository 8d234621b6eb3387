package live

import (
	"bytes"
	"fmt"
	"io"
	"math/bits"
	"os"

	"github.com/nestos/nosa-actions/internal/sparsefile"
)

// A disk image consists mostly of files that the live system has, too, as objects
// of its repository. So it goes on board in pieces: a list of files that make the
// image if they are put one after the other, and the blocks that are no object's.
// What makes the list is only how the bytes compare; it holds for any file system.

const (
	// pieceBlock is the unit of a list, in bytes. File systems begin files at
	// multiples of it and fill the last block with zeros.
	pieceBlock = 4096
	// maxZeros is the largest file of zeros of a list, as a power of two.
	maxZeros = 30
	// maxBlocks bounds the blocks, and those of objects in parts, that the installer
	// keeps in memory.
	maxBlocks = (256 << 20) / pieceBlock
)

var zeroBlock [pieceBlock]byte

func blocksOf(size int64) int64 { return (size + pieceBlock - 1) / pieceBlock }

// pieces is an image cut up.
type pieces struct {
	list   bytes.Buffer // names of files, a line each, as the installer has them
	parts  bytes.Buffer // names of the objects that the list has in parts, a line each
	blocks int64        // that are no object's
	found  int64        // that are

	inParts map[*object]int // their lines in parts
	kept    int64           // blocks that the installer keeps
	zeros   int64           // bytes not in the list yet
}

// cutter cuts up an image.
type cutter struct {
	*objects
	*pieces
	image  *os.File
	size   int64
	blocks io.Writer // for blocks that are no object's
}

// cut cuts up an image, whose size is a multiple of pieceBlock, and writes the
// blocks that are no object's. It gives up when these are too many to be worth it,
// or for the installer's memory: then it returns nil.
func (o *objects) cut(image *os.File, size int64, blocks io.Writer) (*pieces, error) {
	c := &cutter{objects: o, pieces: &pieces{inParts: map[*object]int{}}, image: image, size: size, blocks: blocks}
	for at := int64(0); at < size; {
		begin, end, err := sparsefile.NextData(image, at, size)
		if err != nil {
			return nil, err
		}
		begin = max(at, begin/pieceBlock*pieceBlock)
		c.zeros += begin - at
		if at, err = c.run(begin, end); err != nil {
			return nil, err
		}
		if c.kept > maxBlocks {
			return nil, nil
		}
	}
	c.flush()
	if c.pieces.blocks > c.found {
		return nil, nil
	}
	return c.pieces, nil
}

// run cuts up a run of data and returns where it came to.
func (c *cutter) run(at, end int64) (int64, error) {
	window, from := make([]byte, 0, 1<<20), at // what is read of the image, and from where
	for at < end {
		if at+pieceBlock > from+int64(len(window)) {
			from, window = at, window[:min(c.size-at, 1<<20)]
			if _, err := c.image.ReadAt(window, from); err != nil {
				return at, err
			}
		}
		count, err := c.piece(at, window[at-from:][:pieceBlock])
		if err != nil {
			return at, err
		}
		at += count * pieceBlock
	}
	return at, nil
}

// piece finds what begins at an offset, where block stands, and tells its blocks.
func (c *cutter) piece(at int64, block []byte) (count int64, err error) {
	if bytes.Equal(block, zeroBlock[:]) {
		c.zeros += pieceBlock
		return 1, nil
	}
	object, err := c.whole(c.image, at, c.size, block)
	if err != nil {
		return 0, err
	}
	if object != nil {
		c.flush()
		fmt.Fprintf(&c.list, "o/%s\n", object.name)
		return c.matched(object.size), nil
	}
	part, count, err := c.part(c.image, at, c.size, block)
	if err != nil {
		return 0, err
	}
	if count > 0 && c.keep(part.object) {
		c.flush()
		for i := range count {
			fmt.Fprintf(&c.list, "p%d.%06d\n", c.inParts[part.object], part.block+i)
		}
		return c.matched(min(count*pieceBlock, part.size-part.block*pieceBlock)), nil
	}
	c.flush()
	fmt.Fprintf(&c.list, "b%07d\n", c.pieces.blocks)
	c.pieces.blocks++
	c.kept++
	_, err = c.blocks.Write(block)
	return 1, err
}

// matched counts bytes of an object, the last block of which ends in zeros.
func (p *pieces) matched(size int64) (count int64) {
	count = blocksOf(size)
	p.found += count
	p.zeros = count*pieceBlock - size
	return count
}

// keep has the installer cut up an object, unless that would be too much.
func (p *pieces) keep(o *object) bool {
	if _, ok := p.inParts[o]; ok {
		return true
	}
	if p.kept+blocksOf(o.size) > maxBlocks {
		return false
	}
	p.kept += blocksOf(o.size)
	p.inParts[o] = len(p.inParts)
	fmt.Fprintln(&p.parts, o.name)
	return true
}

// flush names files of zeros that together are as long as the zeros seen.
func (p *pieces) flush() {
	for ; p.zeros >= 1<<maxZeros; p.zeros -= 1 << maxZeros {
		fmt.Fprintf(&p.list, "z%d\n", maxZeros)
	}
	for ; p.zeros > 0; p.zeros &= p.zeros - 1 {
		fmt.Fprintf(&p.list, "z%d\n", bits.TrailingZeros64(uint64(p.zeros)))
	}
}
