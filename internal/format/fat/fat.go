// Package fat reads FAT file systems of all three widths and with sectors of any
// size, as UEFI requires of system partitions. The format is that of Microsoft's
// "FAT: General Overview of On-Disk Format", version 1.03.
package fat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

// ErrBad wraps what is wrong with a file system.
var ErrBad = errors.New("the FAT file system is damaged")

// FS is an open file system. It may be used by several goroutines.
type FS struct {
	Label    string // of the root directory, else of the boot sector
	VolumeID uint32
	Size     int64 // bytes
	Bits     int   // 12, 16 or 32

	r        io.ReaderAt
	cluster  int64 // bytes
	table    []byte
	data     int64 // where cluster 2 begins
	clusters uint32
	rootAt   int64 // of FAT12 and FAT16
	rootSize int64
	rootHead uint32 // first cluster, of FAT32
}

// Is tells whether a boot sector is one of FAT.
func Is(sector []byte) bool {
	return len(sector) >= 512 && sector[510] == 0x55 && sector[511] == 0xaa && (sector[0] == 0xeb || sector[0] == 0xe9) &&
		(string(sector[54:57]) == "FAT" || string(sector[82:85]) == "FAT")
}

// maxTable bounds the table of a file system that is held in memory, in bytes.
const maxTable = 64 << 20

// Open reads the boot sector and the first table.
func Open(r io.ReaderAt) (*FS, error) {
	b := make([]byte, 512)
	if n, err := r.ReadAt(b, 0); n < len(b) {
		return nil, fmt.Errorf("%w: no boot sector: %w", ErrBad, err)
	}
	if !Is(b) {
		return nil, fmt.Errorf("%w: no boot sector", ErrBad)
	}
	le := binary.LittleEndian
	sector, per := int64(le.Uint16(b[11:])), int64(b[13])
	reserved, tables, roots := int64(le.Uint16(b[14:])), int64(b[16]), int64(le.Uint16(b[17:]))
	total, length := int64(le.Uint16(b[19:])), int64(le.Uint16(b[22:]))
	if total == 0 {
		total = int64(le.Uint32(b[32:]))
	}
	id := b[39:]
	if length == 0 {
		length, id = int64(le.Uint32(b[36:])), b[67:]
	}
	if sector < 512 || sector > 4096 || sector&(sector-1) != 0 || per == 0 || per&(per-1) != 0 || reserved == 0 || tables == 0 || length == 0 {
		return nil, fmt.Errorf("%w: boot sector with impossible values", ErrBad)
	}
	f := &FS{r: r, cluster: per * sector, Size: total * sector, VolumeID: le.Uint32(id), Label: strings.TrimRight(string(id[4:15]), " ")}
	f.rootAt, f.rootSize = (reserved+tables*length)*sector, (roots*32+sector-1)/sector*sector
	f.data = f.rootAt + f.rootSize
	if f.data >= f.Size || length*sector > maxTable {
		return nil, fmt.Errorf("%w: boot sector with impossible values", ErrBad)
	}
	f.clusters = uint32((f.Size - f.data) / f.cluster)
	switch { // the number of clusters alone decides
	case f.clusters < 4085:
		f.Bits = 12
	case f.clusters < 65525:
		f.Bits = 16
	default:
		f.Bits, f.rootHead = 32, le.Uint32(b[44:])
	}
	f.table = make([]byte, length*sector)
	if n, err := r.ReadAt(f.table, reserved*sector); n < len(f.table) {
		return nil, fmt.Errorf("%w: its table: %w", ErrBad, err)
	}
	if root, err := f.root(); err == nil { // else Root tells
		f.Label = volumeLabel(root, f.Label)
	}
	return f, nil
}

// Entry is a file or a directory.
type Entry struct {
	Name  string
	Dir   bool
	Size  int64
	first uint32
}

// next follows a chain of clusters; ok is false at its end.
func (f *FS) next(n uint32) (next uint32, ok bool, err error) {
	at := int64(n) * int64(f.Bits) / 8
	if at+4 > int64(len(f.table)) && at+int64(f.Bits+7)/8 > int64(len(f.table)) {
		return 0, false, fmt.Errorf("%w: cluster %d", ErrBad, n)
	}
	b := make([]byte, 4)
	copy(b, f.table[at:])
	v := binary.LittleEndian.Uint32(b)
	switch f.Bits {
	case 12:
		v = v >> (4 * (n & 1)) & 0xfff
	case 16:
		v &= 0xffff
	default:
		v &= 0x0fffffff
	}
	if end := uint32(1)<<min(f.Bits, 28) - 8; v >= end {
		return 0, false, nil
	}
	if v < 2 || v >= f.clusters+2 {
		return 0, false, fmt.Errorf("%w: a chain leads to cluster %d", ErrBad, v)
	}
	return v, true, nil
}

// chain reads the clusters from first on, at most limit bytes.
func (f *FS) chain(first uint32, limit int64) ([]byte, error) {
	var out []byte
	if first == 0 && limit == 0 {
		return nil, nil
	}
	if first < 2 || first >= f.clusters+2 {
		return nil, fmt.Errorf("%w: cluster %d", ErrBad, first)
	}
	for n, ok := first, true; ok && int64(len(out)) < limit; {
		b := make([]byte, min(f.cluster, limit-int64(len(out))))
		if got, err := f.r.ReadAt(b, f.data+int64(n-2)*f.cluster); got < len(b) {
			return nil, fmt.Errorf("%w: cluster %d: %w", ErrBad, n, err)
		}
		out = append(out, b...)
		var err error
		if n, ok, err = f.next(n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// MaxFile bounds the files that can be read, in bytes.
const MaxFile = 256 << 20

// ReadFile reads a file.
func (f *FS) ReadFile(e Entry) ([]byte, error) {
	if e.Dir || e.Size > MaxFile {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", e.Name, MaxFile)
	}
	b, err := f.chain(e.first, e.Size)
	if err == nil && int64(len(b)) < e.Size {
		err = fmt.Errorf("%w: %s ends after %d bytes of %d", ErrBad, e.Name, len(b), e.Size)
	}
	return b, err
}

const (
	maxDir      = 2 << 20 // 65,536 entries, the format's limit
	attrVolume  = 0x08
	attrDir     = 0x10
	attrLong    = 0x0f
	lowerBase   = 0x08
	lowerSuffix = 0x10
)

// Root lists the root directory.
func (f *FS) Root() ([]Entry, error) {
	b, err := f.root()
	if err != nil {
		return nil, err
	}
	return f.entries(b), nil
}

// root reads the records of the root directory.
func (f *FS) root() ([]byte, error) {
	if f.Bits == 32 {
		return f.chain(f.rootHead, maxDir)
	}
	b := make([]byte, f.rootSize)
	if n, err := f.r.ReadAt(b, f.rootAt); n < len(b) {
		return nil, fmt.Errorf("%w: its root directory: %w", ErrBad, err)
	}
	return b, nil
}

// volumeLabel finds the label in the root directory; otherwise is what it is if
// none stands there.
func volumeLabel(root []byte, otherwise string) string {
	for b := root; len(b) >= 32 && b[0] != 0; b = b[32:] {
		if b[0] != 0xe5 && b[11]&0x3f != attrLong && b[11]&attrVolume != 0 {
			return strings.TrimRight(string(b[:11]), " ")
		}
	}
	return otherwise
}

// List gives the entries of a directory but for . and ..
func (f *FS) List(dir Entry) ([]Entry, error) {
	b, err := f.chain(dir.first, maxDir)
	if err != nil {
		return nil, err
	}
	return f.entries(b), nil
}

// entries reads the records of a directory. Long names stand in records before
// the short one, the last piece first.
func (f *FS) entries(b []byte) []Entry {
	le := binary.LittleEndian
	var list []Entry
	var long []uint16
	for ; len(b) >= 32 && b[0] != 0; b = b[32:] {
		attr := b[11]
		switch {
		case b[0] == 0xe5:
			long = nil
			continue
		case attr&0x3f == attrLong:
			var piece []uint16
			for _, at := range []int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30} {
				piece = append(piece, le.Uint16(b[at:]))
			}
			if b[0]&0x40 != 0 || len(long) > 260 {
				long = nil
			}
			long = append(piece, long...)
			continue
		case attr&attrVolume != 0:
			long = nil
			continue
		}
		name := longName(long)
		if long = nil; name == "" {
			name = shortName(b)
		}
		if name == "." || name == ".." {
			continue
		}
		first := uint32(le.Uint16(b[26:]))
		if f.Bits == 32 {
			first |= uint32(le.Uint16(b[20:])) << 16
		}
		list = append(list, Entry{Name: name, Dir: attr&attrDir != 0, Size: int64(le.Uint32(b[28:])), first: first})
	}
	return list
}

func longName(units []uint16) string {
	for n, u := range units {
		if u == 0 {
			units = units[:n]
			break
		}
	}
	return string(utf16.Decode(units))
}

func shortName(b []byte) string {
	base, suffix := strings.TrimRight(string(b[:8]), " "), strings.TrimRight(string(b[8:11]), " ")
	if b[12]&lowerBase != 0 {
		base = strings.ToLower(base)
	}
	if b[12]&lowerSuffix != 0 {
		suffix = strings.ToLower(suffix)
	}
	if suffix != "" {
		return base + "." + suffix
	}
	return base
}
