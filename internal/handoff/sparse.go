package handoff

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// block is the unit in which tar stores everything.
const block = 512

// extents asks the file system where f holds data. ok is false for a file
// without holes.
func extents(f *os.File, size int64) (list []Extent, ok bool, err error) {
	if size == 0 {
		return nil, false, nil
	}
	for at := int64(0); at < size; {
		from, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if err == unix.ENXIO { //nolint:errorlint // a bare errno
			break
		}
		if err != nil {
			return nil, false, fmt.Errorf("find the holes of %s: %w", f.Name(), err)
		}
		to, err := unix.Seek(int(f.Fd()), from, unix.SEEK_HOLE)
		if err != nil {
			return nil, false, fmt.Errorf("find the holes of %s: %w", f.Name(), err)
		}
		list = append(list, Extent{from, min(to, size) - from})
		at = to
	}
	if len(list) == 1 && list[0].Length == size {
		return nil, false, nil
	}
	return merge(list, maxExtents), true, nil
}

// merge fills the smallest holes until at most limit extents are left.
func merge(list []Extent, limit int) []Extent {
	for gap := int64(4096); len(list) > limit; gap *= 2 {
		merged := list[:1]
		for _, x := range list[1:] {
			last := &merged[len(merged)-1]
			if x.Offset-(last.Offset+last.Length) <= gap {
				last.Length = x.Offset + x.Length - last.Offset
				continue
			}
			merged = append(merged, x)
		}
		list = merged
	}
	return list
}

// sparseHead gives the bytes that come before the data of a sparse file: the
// pax header, the file's own header and the map, as in GNU tar's sparse format
// 1.0. The standard library reads this format and does not write it.
func sparseHead(e Entry) []byte {
	sparseMap := sparseMap(e)
	stored := int64(len(sparseMap)) + e.data()
	records := map[string]string{
		"GNU.sparse.major":    "1",
		"GNU.sparse.minor":    "0",
		"GNU.sparse.name":     string(e.Path),
		"GNU.sparse.realsize": strconv.FormatInt(e.Size, 10),
		"mtime":               paxTime(e.MTime),
		"uid":                 strconv.Itoa(e.UID),
		"gid":                 strconv.Itoa(e.GID),
		"size":                strconv.FormatInt(stored, 10),
	}
	for name, value := range e.Xattrs {
		records[xattrRecord+name] = string(value)
	}
	var pax bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(records)) {
		pax.WriteString(paxRecord(key, records[key]))
	}
	var out bytes.Buffer
	out.Write(ustar("PaxHeaders.0/sparse", 'x', 0o644, int64(pax.Len()), 0))
	out.Write(pad(pax.Bytes()))
	out.Write(ustar("GNUSparseFile.0/sparse", '0', e.Mode, stored, e.MTime/1e9))
	out.Write(sparseMap)
	return out.Bytes()
}

// sparseMap is the number of extents, then offset and length of each, one
// number a line, filled up to a whole block.
func sparseMap(e Entry) []byte {
	list := e.Extents
	if len(list) == 0 || list[len(list)-1].Offset+list[len(list)-1].Length < e.Size {
		list = append(slices.Clone(list), Extent{e.Size, 0}) // ends in a hole
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d\n", len(list))
	for _, x := range list {
		fmt.Fprintf(&b, "%d\n%d\n", x.Offset, x.Length)
	}
	return pad(b.Bytes())
}

// paxTime is seconds with nanoseconds as a decimal number. The sign goes with
// the whole: -0.5 is half a second before the epoch.
func paxTime(ns int64) string {
	sign := ""
	if ns < 0 {
		sign, ns = "-", -ns
	}
	text := fmt.Sprintf("%s%d.%09d", sign, ns/1e9, ns%1e9)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".")
}

// paxRecord is "LENGTH KEY=VALUE\n", where LENGTH counts itself.
func paxRecord(key, value string) string {
	rest := " " + key + "=" + value + "\n"
	size := len(rest)
	for size != len(rest)+len(strconv.Itoa(size)) {
		size = len(rest) + len(strconv.Itoa(size))
	}
	return strconv.Itoa(size) + rest
}

// ustar is one header block. Fields that pax records override hold what fits.
func ustar(name string, typeflag byte, mode, size, mtime int64) []byte {
	h := make([]byte, block)
	octal := func(at, width int, n int64) {
		if n < 0 || n >= 1<<(3*(width-1)) {
			n = 0
		}
		copy(h[at:], fmt.Sprintf("%0*o", width-1, n))
	}
	copy(h, name)
	octal(100, 8, mode)
	octal(108, 8, 0)
	octal(116, 8, 0)
	octal(124, 12, size)
	octal(136, 12, mtime)
	h[156] = typeflag
	copy(h[257:], "ustar\x0000")
	copy(h[148:], "        ") // the checksum counts its own field as blanks
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

// pad fills up to a whole block with zeros.
func pad(b []byte) []byte {
	if rest := len(b) % block; rest != 0 {
		b = append(b, make([]byte, block-rest)...)
	}
	return b
}

// reader reads the parts of f that e stores, one after another.
func (e Entry) reader(f io.ReaderAt) io.Reader {
	if !e.Sparse {
		return io.NewSectionReader(f, 0, e.Size)
	}
	parts := make([]io.Reader, len(e.Extents))
	for i, x := range e.Extents {
		parts[i] = io.NewSectionReader(f, x.Offset, x.Length)
	}
	return io.MultiReader(parts...)
}
