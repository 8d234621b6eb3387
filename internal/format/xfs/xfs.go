// Package xfs reads XFS file systems of version 5 that are not mounted:
// directories, files with their owners, modes and flags, and what the superblock
// says. The format is that of "XFS Algorithms & Data Structures" and of the
// kernel's fs/xfs/libxfs/xfs_format.h and xfs_da_format.h.
//
// The log is not replayed: what a build leaves behind was unmounted.
package xfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"

	"github.com/google/uuid"

	"github.com/nestos/nosa-actions/internal/format/inode"
)

// ErrBad wraps what is wrong with a file system.
var ErrBad = errors.New("the xfs file system is damaged")

const (
	superSize = 512

	incompatFtype, incompatNeedsRepair = 0x1, 0x10
	understood                         = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x80

	coreSize      = 176 // bytes of an inode before its forks
	flagImmutable = 0x8
	flag2NREXT64  = 0x10

	formatLocal, formatExtents, formatBtree = 1, 2, 3
)

var (
	be         = binary.BigEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// sumFits holds a structure against the checksum at an offset of it.
func sumFits(b []byte, at int) bool {
	sum := crc32.Update(0, castagnoli, b[:at])
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return crc32.Update(sum, castagnoli, b[at+4:]) == binary.LittleEndian.Uint32(b[at:])
}

// FS is an open file system. It may be used by several goroutines.
type FS struct {
	Label     string
	UUID      uuid.UUID
	Size      int64 // bytes, by its own account
	Free      int64 // bytes
	BlockSize int64 // bytes

	r                    io.ReaderAt
	root                 uint64
	agBlocks             int64
	agBlockLog, inodeLog uint // of blocks in a group, of inodes in a block
	inodeSize, dirBlock  int64
	groups               uint64
	ftype                bool
}

// Open reads the superblock. What is wrong with it is an ErrBad; where reading
// goes on all the same, fs is not nil.
func Open(r io.ReaderAt) (*FS, error) {
	sb := make([]byte, superSize)
	if n, err := r.ReadAt(sb, 0); n < len(sb) {
		return nil, fmt.Errorf("%w: no superblock: %w", ErrBad, err)
	}
	if string(sb[:4]) != "XFSB" {
		return nil, fmt.Errorf("%w: no superblock", ErrBad)
	}
	incompat := be.Uint32(sb[216:])
	f := &FS{
		r: r, Label: cString(sb[108:120]), UUID: uuid.UUID(sb[32:48]), BlockSize: int64(be.Uint32(sb[4:])),
		root: be.Uint64(sb[56:]), agBlocks: int64(be.Uint32(sb[84:])), groups: uint64(be.Uint32(sb[88:])),
		agBlockLog: uint(sb[124]), inodeLog: uint(sb[123]), inodeSize: int64(be.Uint16(sb[104:])), ftype: incompat&incompatFtype != 0,
	}
	blocks, free := be.Uint64(sb[8:]), be.Uint64(sb[144:])
	switch {
	case be.Uint16(sb[100:])&0xf != 5:
		return nil, fmt.Errorf("xfs of version %d cannot be read here", be.Uint16(sb[100:])&0xf)
	case incompat&^understood != 0:
		return nil, fmt.Errorf("xfs with features %#x cannot be read here", incompat&^understood)
	case f.BlockSize < 512 || f.BlockSize > 64<<10 || f.inodeSize < 256 || f.inodeSize > 2048 || f.agBlocks == 0 ||
		f.agBlockLog > 31 || f.inodeLog > 8 || blocks > 1<<46 || free > blocks || sb[192] > 8 || f.groups == 0:
		return nil, fmt.Errorf("%w: superblock with impossible values", ErrBad)
	}
	f.Size, f.Free, f.dirBlock = int64(blocks)*f.BlockSize, int64(free)*f.BlockSize, f.BlockSize<<sb[192]
	sector := make([]byte, min(max(superSize, int(be.Uint16(sb[102:]))), 32<<10))
	if n, _ := r.ReadAt(sector, 0); n < len(sector) || !sumFits(sector, 224) {
		return f, fmt.Errorf("%w: the superblock's checksum is wrong", ErrBad)
	}
	if incompat&incompatNeedsRepair != 0 {
		return f, fmt.Errorf("%w: it is marked as in need of repair", ErrBad)
	}
	return f, nil
}

func cString(b []byte) string {
	text, _, _ := strings.Cut(string(b), "\x00")
	return text
}

// read fills b from a byte of the file system.
func (f *FS) read(b []byte, at int64) error {
	if at < 0 || at > f.Size-int64(len(b)) {
		return fmt.Errorf("%w: it points beyond its end", ErrBad)
	}
	if n, err := f.r.ReadAt(b, at); n < len(b) {
		return fmt.Errorf("read the file system at byte %d: %w", at, err)
	}
	return nil
}

// place is where a block lies, which is numbered by group and block in it.
func (f *FS) place(block uint64) (int64, error) {
	group, inside := block>>f.agBlockLog, int64(block&(1<<f.agBlockLog-1))
	if group >= f.groups || inside >= f.agBlocks {
		return 0, fmt.Errorf("%w: no block %d", ErrBad, block)
	}
	return (int64(group)*f.agBlocks + inside) * f.BlockSize, nil
}

// Info is what the file system says of one file.
type Info struct {
	Name      string // in its directory; "" for the root
	Inode     uint64
	Mode      fs.FileMode
	Size      int64
	UID, GID  uint32
	Immutable bool

	raw []byte // the inode
}

// Root describes the root directory.
func (f *FS) Root() (Info, error) { return f.inode(f.root) }

func (f *FS) inode(n uint64) (Info, error) {
	at, err := f.place(n >> f.inodeLog)
	if err != nil {
		return Info{}, fmt.Errorf("inode %d: %w", n, err)
	}
	raw := make([]byte, f.inodeSize)
	if err := f.read(raw, at+int64(n&(1<<f.inodeLog-1))*f.inodeSize); err != nil {
		return Info{}, err
	}
	if string(raw[:2]) != "IN" || raw[4] != 3 || be.Uint64(raw[152:]) != n {
		return Info{}, fmt.Errorf("%w: no inode %d", ErrBad, n)
	}
	i := Info{
		Inode: n, raw: raw, Mode: inode.Mode(be.Uint16(raw[2:])), UID: be.Uint32(raw[8:]), GID: be.Uint32(raw[12:]),
		Size: int64(be.Uint64(raw[56:])), Immutable: be.Uint16(raw[90:])&flagImmutable != 0,
	}
	if !sumFits(raw, 100) {
		return i, fmt.Errorf("%w: the checksum of inode %d is wrong", ErrBad, n)
	}
	if i.Size < 0 {
		return i, fmt.Errorf("%w: inode %d has an impossible size", ErrBad, n)
	}
	return i, nil
}

// fork is the part of an inode that holds, or leads to, its content.
func (i Info) fork() []byte {
	if n := coreSize + 8*int(i.raw[82]); i.raw[82] > 0 && n <= len(i.raw) {
		return i.raw[coreSize:n]
	}
	return i.raw[coreSize:]
}

// extentCount is the number of extents that stand in the inode.
func (i Info) extentCount() uint64 {
	if be.Uint64(i.raw[120:])&flag2NREXT64 != 0 {
		return be.Uint64(i.raw[24:])
	}
	return uint64(be.Uint32(i.raw[76:]))
}

// attrExtents is the same for extended attributes.
func (i Info) attrExtents() uint32 {
	if be.Uint64(i.raw[120:])&flag2NREXT64 != 0 {
		return be.Uint32(i.raw[76:])
	}
	return uint32(be.Uint16(i.raw[80:]))
}
