// Package ext4 reads ext4 file systems that are not mounted: directories, files
// with their owners, modes and flags, and what the superblock says. The format
// is that of Documentation/filesystems/ext4 in the kernel's sources.
//
// Every structure that has a checksum is held against it. The journal is not
// replayed: what a build leaves behind was never mounted, or was unmounted.
package ext4

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
var ErrBad = errors.New("the ext4 file system is damaged")

const (
	superAt, superSize = 1024, 1024
	magic              = 0xef53

	incompatFiletype, incompatRecover, incompatMetaBG          = 0x2, 0x4, 0x10
	incompatExtents, incompat64Bit, incompatFlexBG             = 0x40, 0x80, 0x200
	incompatEAInode, incompatCsumSeed, incompatLargeDir        = 0x400, 0x2000, 0x4000
	incompatInline, incompatEncrypt, incompatCasefold          = 0x8000, 0x10000, 0x20000
	roCompatMetadataCsum                                       = 0x400
	roCompatVerity                                             = 0x8000
	understood                                          uint32 = incompatFiletype | incompatRecover | incompatExtents | incompat64Bit |
		incompatFlexBG | incompatEAInode | incompatCsumSeed | incompatLargeDir | incompatEncrypt | incompatCasefold

	maxBlockLog = 6        // 64 KiB
	maxGroups   = 64 << 20 // bytes of group descriptors: those of 128 TiB
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is crc32c as the kernel chains it, without the final inversion.
func checksum(seed uint32, data []byte) uint32 { return ^crc32.Update(^seed, castagnoli, data) }

// FS is an open file system. It may be used by several goroutines.
type FS struct {
	Label     string
	UUID      uuid.UUID
	Size      int64 // bytes, by its own account
	Free      int64 // bytes
	BlockSize int64 // bytes
	Clean     bool  // unmounted properly, without errors
	Verity    bool
	Recover   bool // the journal waits to be replayed

	r         io.ReaderAt
	csum      bool
	seed      uint32
	inodes    uint32
	perGroup  uint32
	inodeSize int64
	descSize  int64
	groups    []byte // descriptors
}

// Open reads the superblock and the group descriptors. What is wrong with them is
// an ErrBad; where reading goes on all the same, fs is not nil.
func Open(r io.ReaderAt) (fsys *FS, err error) {
	sb := make([]byte, superSize)
	if n, err := r.ReadAt(sb, superAt); n < len(sb) {
		return nil, fmt.Errorf("%w: no superblock: %w", ErrBad, err)
	}
	le := binary.LittleEndian
	if le.Uint16(sb[0x38:]) != magic {
		return nil, fmt.Errorf("%w: no superblock", ErrBad)
	}
	log, incompat, roCompat := le.Uint32(sb[0x18:]), le.Uint32(sb[0x60:]), le.Uint32(sb[0x64:])
	f := &FS{
		r: r, Label: cString(sb[0x78:0x88]), UUID: uuid.UUID(sb[0x68:0x78]),
		Clean: le.Uint16(sb[0x3a:])&3 == 1, Verity: roCompat&roCompatVerity != 0, Recover: incompat&incompatRecover != 0,
		csum: roCompat&roCompatMetadataCsum != 0, inodes: le.Uint32(sb), perGroup: le.Uint32(sb[0x28:]),
		inodeSize: 128, descSize: 32,
	}
	if le.Uint32(sb[0x4c:]) > 0 {
		f.inodeSize = int64(le.Uint16(sb[0x58:]))
	}
	blocks, free := uint64(le.Uint32(sb[4:])), uint64(le.Uint32(sb[0xc:]))
	if incompat&incompat64Bit != 0 {
		f.descSize = int64(le.Uint16(sb[0xfe:]))
		blocks |= uint64(le.Uint32(sb[0x150:])) << 32
		free |= uint64(le.Uint32(sb[0x158:])) << 32
	}
	blocksPerGroup, first := uint64(le.Uint32(sb[0x20:])), uint64(le.Uint32(sb[0x14:]))
	switch {
	case log > maxBlockLog, f.perGroup == 0, blocksPerGroup == 0, blocks > 1<<46, free > blocks, first >= blocks,
		f.inodeSize < 128, f.inodeSize > 1<<12, f.inodeSize&(f.inodeSize-1) != 0, f.descSize < 32, f.descSize > 1<<10:
		return nil, fmt.Errorf("%w: superblock with impossible values", ErrBad)
	case incompat&^understood != 0 || incompat&incompatMetaBG != 0:
		return nil, fmt.Errorf("ext4 with features %#x cannot be read here", incompat&^understood|incompat&incompatMetaBG)
	}
	f.BlockSize = 1024 << log
	f.Size, f.Free = int64(blocks)*f.BlockSize, int64(free)*f.BlockSize
	f.seed = checksum(^uint32(0), sb[0x68:0x78])
	if incompat&incompatCsumSeed != 0 {
		f.seed = le.Uint32(sb[0x270:])
	}
	groups := (blocks - first + blocksPerGroup - 1) / blocksPerGroup
	if groups > uint64(maxGroups/f.descSize) {
		return nil, fmt.Errorf("%w: %d block groups", ErrBad, groups)
	}
	f.groups = make([]byte, int64(groups)*f.descSize)
	if n, err := r.ReadAt(f.groups, int64(first+1)*f.BlockSize); n < len(f.groups) {
		return nil, fmt.Errorf("%w: group descriptors: %w", ErrBad, err)
	}
	if f.csum && le.Uint32(sb[0x3fc:]) != checksum(^uint32(0), sb[:0x3fc]) {
		return f, fmt.Errorf("%w: the superblock's checksum is wrong", ErrBad)
	}
	return f, f.checkGroups()
}

// checkGroups holds the group descriptors against their checksums.
func (f *FS) checkGroups() error {
	if !f.csum {
		return nil
	}
	for g := int64(0); g*f.descSize < int64(len(f.groups)); g++ {
		d := f.groups[g*f.descSize:][:f.descSize]
		sum := checksum(f.seed, binary.LittleEndian.AppendUint32(nil, uint32(g)))
		sum = checksum(checksum(checksum(sum, d[:0x1e]), []byte{0, 0}), d[0x20:])
		if uint16(sum) != binary.LittleEndian.Uint16(d[0x1e:]) {
			return fmt.Errorf("%w: the checksum of block group %d is wrong", ErrBad, g)
		}
	}
	return nil
}

func cString(b []byte) string {
	text, _, _ := strings.Cut(string(b), "\x00")
	return text
}

// Info is what the file system says of one file.
type Info struct {
	Name      string // in its directory; "" for the root
	Inode     uint32
	Mode      fs.FileMode
	Size      int64
	UID, GID  uint32
	Links     int
	Immutable bool

	raw []byte // the inode
}

const rootInode = 2

// Root describes the root directory.
func (f *FS) Root() (Info, error) { return f.inode(rootInode) }

// inode reads an inode.
func (f *FS) inode(n uint32) (Info, error) {
	if n == 0 || n > f.inodes {
		return Info{}, fmt.Errorf("%w: no inode %d", ErrBad, n)
	}
	at := int64((n-1)/f.perGroup) * f.descSize
	if at+f.descSize > int64(len(f.groups)) {
		return Info{}, fmt.Errorf("%w: inode %d is in no block group", ErrBad, n)
	}
	le := binary.LittleEndian
	d := f.groups[at:][:f.descSize]
	table := uint64(le.Uint32(d[8:]))
	if f.descSize >= 64 {
		table |= uint64(le.Uint32(d[0x28:])) << 32
	}
	raw := make([]byte, f.inodeSize)
	if err := f.read(raw, int64(table)*f.BlockSize+int64((n-1)%f.perGroup)*f.inodeSize); err != nil {
		return Info{}, err
	}
	mode := le.Uint16(raw)
	i := Info{
		Inode: n, Mode: inode.Mode(mode), raw: raw, Links: int(le.Uint16(raw[0x1a:])),
		Size:      int64(uint64(le.Uint32(raw[4:])) | uint64(le.Uint32(raw[0x6c:]))<<32),
		UID:       uint32(le.Uint16(raw[2:])) | uint32(le.Uint16(raw[0x78:]))<<16,
		GID:       uint32(le.Uint16(raw[0x18:])) | uint32(le.Uint16(raw[0x7a:]))<<16,
		Immutable: le.Uint32(raw[0x20:])&flagImmutable != 0,
	}
	if !f.inodeSumFits(n, raw) {
		return i, fmt.Errorf("%w: the checksum of inode %d is wrong", ErrBad, n)
	}
	if i.Size < 0 {
		return i, fmt.Errorf("%w: inode %d has an impossible size", ErrBad, n)
	}
	return i, nil
}

// inodeSeed begins the checksums of what belongs to an inode.
func (f *FS) inodeSeed(n uint32, raw []byte) uint32 {
	b := binary.LittleEndian.AppendUint32(nil, n)
	return checksum(f.seed, append(b, raw[0x64:0x68]...))
}

func (f *FS) inodeSumFits(n uint32, raw []byte) bool {
	if !f.csum {
		return true
	}
	le := binary.LittleEndian
	want := uint32(le.Uint16(raw[0x7c:]))
	plain := append([]byte(nil), raw...)
	plain[0x7c], plain[0x7d] = 0, 0
	long := len(raw) > 128 && le.Uint16(raw[0x80:]) >= 4
	if long {
		want |= uint32(le.Uint16(raw[0x82:])) << 16
		plain[0x82], plain[0x83] = 0, 0
	}
	sum := checksum(f.inodeSeed(n, raw), plain)
	if !long {
		sum &= 0xffff
	}
	return sum == want
}

// read fills b from the file system.
func (f *FS) read(b []byte, at int64) error {
	if at < 0 || at > f.Size-int64(len(b)) {
		return fmt.Errorf("%w: it points beyond its end", ErrBad)
	}
	if n, err := f.r.ReadAt(b, at); n < len(b) {
		return fmt.Errorf("read the file system at byte %d: %w", at, err)
	}
	return nil
}
