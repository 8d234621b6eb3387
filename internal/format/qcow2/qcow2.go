// Package qcow2 reads disk images in QEMU's copy-on-write format, versions 2 and
// 3, compressed clusters included, without QEMU. The format is that of
// docs/interop/qcow2.rst in QEMU's sources.
//
// Images that need another file (a backing file, an external data file) or a
// password are refused: what a build leaves behind stands by itself.
package qcow2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Magic begins every image.
const Magic = "QFI\xfb"

const (
	headerV2 = 72  // bytes of a version 2 header
	headerV3 = 104 // bytes that every version 3 header has

	minClusterBits, maxClusterBits = 9, 21
	maxL1                          = 32 << 20 / 8 // entries; QEMU's own limit

	dirtyBit, corruptBit, dataFileBit, compressionBit, extendedL2Bit = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4

	compressionZlib, compressionZstd = 0, 1
)

// ErrBad wraps what is wrong with an image.
var ErrBad = errors.New("the qcow2 image is damaged")

// ErrUnsupported wraps why a good image cannot be read here.
var ErrUnsupported = errors.New("this kind of qcow2 image cannot be read")

// Header is what an image says of itself.
type Header struct {
	Version     int
	Size        int64 // of the disk, in bytes
	ClusterSize int64
	Compression string // zlib or zstd: of those clusters that are compressed
	Dirty       bool   // not closed properly; the reference counts may be wrong
	Corrupt     bool   // QEMU itself marked it
	Snapshots   int

	l1Size     int
	l1At       int64
	bits       uint
	extendedL2 bool
}

// ParseHeader reads the first bytes of an image; 104 suffice.
func ParseHeader(b []byte) (*Header, error) {
	if len(b) < headerV2 || string(b[:4]) != Magic {
		return nil, fmt.Errorf("%w: no header", ErrBad)
	}
	be := binary.BigEndian
	h := &Header{Version: int(be.Uint32(b[4:])), Compression: "zlib"}
	h.bits = uint(be.Uint32(b[20:]))
	size := be.Uint64(b[24:])
	l1Size, l1At := be.Uint32(b[36:]), be.Uint64(b[40:])
	h.Snapshots = int(be.Uint32(b[60:]))
	switch {
	case h.Version != 2 && h.Version != 3:
		return nil, fmt.Errorf("%w: version %d", ErrUnsupported, h.Version)
	case h.bits < minClusterBits || h.bits > maxClusterBits:
		return nil, fmt.Errorf("%w: clusters of 2^%d bytes", ErrBad, h.bits)
	case size > 1<<62 || l1At > 1<<62 || l1Size > maxL1:
		return nil, fmt.Errorf("%w: header with impossible sizes", ErrBad)
	case be.Uint64(b[8:]) != 0:
		return nil, fmt.Errorf("%w: it has a backing file", ErrUnsupported)
	case be.Uint32(b[32:]) != 0:
		return nil, fmt.Errorf("%w: it is encrypted", ErrUnsupported)
	}
	h.Size, h.ClusterSize, h.l1Size, h.l1At = int64(size), 1<<h.bits, int(l1Size), int64(l1At)
	if err := h.version3(b); err != nil {
		return nil, err
	}
	if need := (h.Size + h.span() - 1) / h.span(); int64(h.l1Size) < need {
		return nil, fmt.Errorf("%w: a table of %d entries for a disk of %d bytes", ErrBad, h.l1Size, h.Size)
	}
	return h, nil
}

func (h *Header) version3(b []byte) error {
	if h.Version == 2 {
		return nil
	}
	if len(b) < headerV3 {
		return fmt.Errorf("%w: header cut short", ErrBad)
	}
	features := binary.BigEndian.Uint64(b[72:])
	h.Dirty, h.Corrupt, h.extendedL2 = features&dirtyBit != 0, features&corruptBit != 0, features&extendedL2Bit != 0
	if features&dataFileBit != 0 {
		return fmt.Errorf("%w: its data are in another file", ErrUnsupported)
	}
	if unknown := features &^ (dirtyBit | corruptBit | dataFileBit | compressionBit | extendedL2Bit); unknown != 0 {
		return fmt.Errorf("%w: unknown features %#x", ErrUnsupported, unknown)
	}
	if features&compressionBit == 0 || len(b) <= headerV3 {
		return nil
	}
	switch b[headerV3] {
	case compressionZlib:
	case compressionZstd:
		h.Compression = "zstd"
	default:
		return fmt.Errorf("%w: unknown compression %d", ErrUnsupported, b[headerV3])
	}
	return nil
}

// entrySize is the length of an entry of a level 2 table, in bytes.
func (h *Header) entrySize() int64 {
	if h.extendedL2 {
		return 16
	}
	return 8
}

// span is how much of the disk one level 2 table describes, in bytes.
func (h *Header) span() int64 { return h.ClusterSize / h.entrySize() * h.ClusterSize }

// Open reads the header and the first table of an image.
func Open(file io.ReaderAt) (*Image, error) {
	head := make([]byte, headerV3+8)
	n, err := file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	h, err := ParseHeader(head[:n])
	if err != nil {
		return nil, err
	}
	table := make([]byte, 8*h.l1Size)
	if err := readFull(file, table, h.l1At); err != nil {
		return nil, fmt.Errorf("first table: %w", err)
	}
	img := &Image{Header: *h, file: file, l1: make([]uint64, h.l1Size)}
	for i := range img.l1 {
		img.l1[i] = binary.BigEndian.Uint64(table[8*i:])
	}
	return img, nil
}

// readFull reads all of b; a file that ends before is damaged.
func readFull(file io.ReaderAt, b []byte, at int64) error {
	n, err := file.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: the file ends before byte %d", ErrBad, at+int64(len(b)))
	}
	return err
}
