package handoff

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A pack is a pax tar (POSIX.1-2008) whose headers follow from the manifest and
// from nothing else, byte by byte. Unpacking compares them and so needs no
// parser for what another program may have written.

// block is the unit in which tar stores everything.
const block = 512

// xattrRecord is the prefix of pax records with extended attributes, as star
// introduced and GNU tar reads them.
const xattrRecord = "SCHILY.xattr."

// typeflags are tar's letters for the kinds of members.
var typeflags = map[Type]byte{File: '0', HardLink: '1', Symlink: '2', Dir: '5'}

// head gives all bytes that come before a member's content: the pax header, the
// member's own header and, if only parts of a file are stored, the map of them,
// as in GNU tar's sparse format 1.0.
func (e Entry) head() []byte {
	name := string(e.Path)
	if e.Type == Dir {
		name += "/"
	}
	records := map[string]string{
		"mtime": paxTime(e.MTime),
		"uid":   strconv.Itoa(e.UID),
		"gid":   strconv.Itoa(e.GID),
		"path":  name,
	}
	if e.Link != "" {
		records["linkpath"] = string(e.Link)
	}
	for name, value := range e.Xattrs {
		records[xattrRecord+name] = string(value)
	}
	size, parts := int64(0), []byte(nil)
	if e.Type == File {
		stored := e.stored()
		size = total(stored)
		if e.partly() {
			parts = sparseMap(stored, e.Size)
			size += int64(len(parts))
			delete(records, "path")
			records["GNU.sparse.major"], records["GNU.sparse.minor"] = "1", "0"
			records["GNU.sparse.name"] = name
			records["GNU.sparse.realsize"] = strconv.FormatInt(e.Size, 10)
		}
		records["size"] = strconv.FormatInt(size, 10)
	}
	var pax bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(records)) {
		pax.WriteString(paxRecord(key, records[key]))
	}
	var out bytes.Buffer
	out.Write(ustar("pax", 'x', 0o644, int64(pax.Len()), 0))
	out.Write(pad(pax.Bytes()))
	out.Write(ustar("member", typeflags[e.Type], e.Mode, size, e.MTime/1e9))
	out.Write(parts)
	return out.Bytes()
}

// manifestHead is the header of the first member.
func manifestHead(size int64) []byte { return ustar(ManifestName, '0', 0o644, size, 0) }

// manifestSize reads the size back.
func manifestSize(head []byte) (int64, error) {
	size, err := strconv.ParseInt(strings.Trim(string(head[124:136]), "\x00 "), 8, 64)
	if err != nil || !bytes.Equal(head, manifestHead(size)) {
		return 0, fmt.Errorf("not a pack: its first member is not %s", ManifestName)
	}
	return size, nil
}

// sparseMap is the number of parts, then offset and length of each, one number a
// line, filled up to a whole block.
func sparseMap(parts []Extent, size int64) []byte {
	if len(parts) == 0 || parts[len(parts)-1].end() < size {
		parts = append(slices.Clone(parts), Extent{size, 0}) // ends in a hole
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d\n", len(parts))
	for _, x := range parts {
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
