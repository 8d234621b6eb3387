package image

import "errors"

const (
	mib = 1 << 20

	metadataPercent = 5  // what a file system needs beside the content
	headroomPercent = 35 // what a running system gets beside the tree
	inodeBytes      = 512
)

// ErrNoSpace is returned when the tree does not fit the disk that image.yaml
// asks for.
var ErrNoSpace = errors.New("tree does not fit")

// Content counts what a file system must hold: the objects of a commit. The
// zero value counts nothing, with blocks of 4096 bytes.
type Content struct {
	BlockSize int64 // of the file system, in bytes; 0 means 4096
	Objects   int64
	blocks    int64
}

// Add counts one object: the size of a file, the length of a symbolic link's
// target, or the stored size of a commit, dirtree or dirmeta.
func (c *Content) Add(size int64) {
	c.Objects++
	c.blocks += size/c.blockSize() + 1
}

// MiB is the size that a root file system for the content should have.
func (c Content) MiB() int64 {
	data := c.blocks / (mib / c.blockSize())
	inodes := 1 + c.Objects*inodeBytes/mib
	return (data+inodes)*(100+metadataPercent+headroomPercent)/100 + 1
}

// Bytes is what the content takes in whole blocks.
func (c Content) Bytes() int64 { return c.blocks * c.blockSize() }

func (c Content) blockSize() int64 {
	if c.BlockSize == 0 {
		return 4096
	}
	return c.BlockSize
}
