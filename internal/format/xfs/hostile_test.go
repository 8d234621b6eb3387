package xfs

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"
)

// seal gives a structure the checksum that it has to have, so that what is wrong
// with it is found by what looks at it and not by the checksum.
func seal(b []byte, at int) {
	clear(b[at : at+4])
	binary.LittleEndian.PutUint32(b[at:], crc32.Checksum(b, castagnoli))
}

const hostileInode = 8 // at byte 4096 of hostile

// hostile is a file system of 64 blocks of which one inode and two kinds of
// blocks, the even ones and the odd, are foreign.
func hostile(inode, even, odd []byte) *FS {
	disk := make([]byte, 64<<10)
	for n := range 64 {
		block := disk[n<<10:][:1<<10]
		if n%2 == 0 {
			copy(block, even)
		} else {
			copy(block, odd)
		}
		if string(block[:4]) == "BMA3" {
			seal(block, 64)
		} else {
			seal(block, 4)
		}
	}
	raw := disk[4096:][:512]
	clear(raw)
	copy(raw, inode)
	copy(raw, "IN")
	raw[4] = 3
	be.PutUint64(raw[152:], hostileInode)
	seal(raw, 100)
	return &FS{
		r: bytes.NewReader(disk), Size: int64(len(disk)), BlockSize: 1 << 10, root: hostileInode, agBlocks: 64, groups: 1,
		agBlockLog: 6, inodeLog: 1, inodeSize: 512, dirBlock: 1 << 10, ftype: true,
	}
}

// file is an inode of a format, with a size and what follows its head.
func file(mode uint16, format byte, size, extents uint64, fork []byte) []byte {
	raw := make([]byte, coreSize)
	be.PutUint16(raw[2:], mode)
	raw[5] = format
	be.PutUint64(raw[56:], size)
	be.PutUint32(raw[76:], uint32(extents))
	return append(raw, fork...)
}

// packed is an extent as it stands on the disk.
func packed(file, at, length uint64) []byte {
	b := be.AppendUint64(nil, file<<9|at>>43)
	return be.AppendUint64(b, at<<21|length)
}

// node is a block of a tree of extents.
func node(level, count int, content []byte) []byte {
	b := append([]byte("BMA3"), 0, byte(level), 0, byte(count))
	return append(append(b, make([]byte, btreeHead-len(b))...), content...)
}

// walk does all that can be done with the root and what is in it.
func walk(f *FS) (faults []error) {
	note := func(err error) { faults = append(faults, err) }
	root, err := f.Root()
	if err != nil {
		return []error{err}
	}
	list, err := f.List(root)
	note(err)
	for _, i := range append(list, root) {
		_, err := f.Xattrs(i)
		note(err)
		for _, mode := range []fs.FileMode{0, fs.ModeSymlink, fs.ModeDir} {
			i.Mode = mode
			_, err := f.Target(i)
			note(err)
			if in, err := f.Open(i); err == nil {
				_, err = io.Copy(io.Discard, io.LimitReader(in, 1<<20))
				note(err)
			} else {
				note(err)
			}
		}
	}
	return faults
}

// Each of these once kept the reader busy for ever, or brought it down.
func TestHostileExtentsAreRefused(t *testing.T) {
	pointers := bytes.Repeat(be.AppendUint64(nil, 2), 59)
	tree := append([]byte{0, 9, 0, 20}, make([]byte, 8*20)...)
	tree = append(tree, bytes.Repeat(be.AppendUint64(nil, 2), 20)...)
	inner := func(level int) []byte { return node(level, 59, append(make([]byte, 8*59), pointers...)) }
	for name, c := range map[string]struct {
		f    *FS
		want string
	}{
		"no length":      {hostile(file(0o100644, formatExtents, 9000, 2, append(packed(1, 7, 0), packed(1, 7, 0)...)), nil, nil), "impossible length"},
		"twice the same": {hostile(file(0o100644, formatExtents, 9000, 2, append(packed(1, 7, 1), packed(1, 7, 1)...)), nil, nil), "out of order"},
		"far away":       {hostile(file(0o100644, formatExtents, 9000, 2, append(packed(0, 7, 1), packed(1<<54-1, 7, 1)...)), nil, nil), "an extent at block"},
		"count":          {hostile(file(0o100644, formatExtents, 9000, 1<<31, nil), nil, nil), "the extents of inode"},
		"levels":         {hostile(file(0o100644, formatBtree, 9000, 1, tree), inner(7), nil), "a tree of extents"},
	} {
		t.Run(name, func(t *testing.T) {
			root, err := c.f.Root()
			require.NoError(t, err)
			_, err = c.f.Open(root)
			require.ErrorIs(t, err, ErrBad)
			require.ErrorContains(t, err, c.want)
		})
	}
	t.Run("no end", func(t *testing.T) {
		f := hostile(file(0o100644, formatBtree, 9000, 1, append([]byte{0, 5}, tree[2:]...)), nil, nil)
		// Block N holds a node of level N, which points to the next below, again
		// and again; the leaf is empty.
		disk := make([]byte, f.Size)
		_, err := f.r.ReadAt(disk, 0)
		require.NoError(t, err)
		for level := range 5 {
			to := bytes.Repeat(be.AppendUint64(nil, uint64(20+level-1)), 59)
			b := disk[(20+level)<<10:][:1<<10]
			count := 59
			if level == 0 {
				count = 0
			}
			copy(b, node(level, count, append(make([]byte, 8*59), to...)))
			seal(b, 64)
		}
		raw := disk[4096:][:512]
		for n := range 20 {
			be.PutUint64(raw[coreSize+4+8*20+8*n:], 24)
		}
		seal(raw, 100)
		f.r = bytes.NewReader(disk)
		root, err := f.Root()
		require.NoError(t, err)
		_, err = f.Open(root)
		require.ErrorContains(t, err, "without an end")
	})
}

// FuzzStructures has all checksums right, which FuzzOpen cannot.
func FuzzStructures(f *testing.F) {
	entry := append(be.AppendUint64(nil, hostileInode), 4, 'n', 'a', 'm', 'e', 1, 0, 64)
	names := append(append([]byte("XDD3"), make([]byte, dirHead-4)...), entry...)
	f.Add(file(0o040755, formatExtents, 4096, 1, packed(0, 6, 2)), names, []byte("XDB3"))
	f.Add(file(0o040755, formatLocal, 20, 0, []byte{1, 0, 0, 0, 0, 8, 1, 0, 0, 'a', 1, 0, 0, 0, 8}), []byte{}, []byte{})
	f.Add(file(0o120777, formatExtents, 900, 1, packed(0, 6, 1)), []byte("XSLM"), []byte{})
	f.Add(file(0o100644, formatBtree, 5000, 1, append([]byte{0, 1, 0, 1}, append(make([]byte, 8*20), be.AppendUint64(nil, 2)...)...)),
		node(0, 1, packed(0, 7, 1)), []byte{})
	withAttrs := file(0o100644, formatLocal, 0, 0, append(make([]byte, 64), 0, 20, 1, 0, 1, 5, 4, 'k', 'v', 'a', 'l', 'u', 'e'))
	withAttrs[82], withAttrs[83] = 8, formatLocal
	f.Add(withAttrs, []byte{}, []byte{})
	f.Fuzz(func(_ *testing.T, inode, even, odd []byte) { walk(hostile(inode, even, odd)) })
}

// What FuzzStructures begins with is read, so that it begins behind the checks.
func TestSeedsOfTheFuzzerAreGood(t *testing.T) {
	entry := append(be.AppendUint64(nil, hostileInode), 4, 'n', 'a', 'm', 'e', 1, 0, 64)
	names := append(append([]byte("XDD3"), make([]byte, dirHead-4)...), entry...)
	free := be.AppendUint16(be.AppendUint16(nil, 0xffff), uint16(1<<10-dirHead-len(entry)))
	f := hostile(file(0o040755, formatExtents, 1024, 1, packed(0, 6, 1)), append(names, free...), nil)
	root, err := f.Root()
	require.NoError(t, err)
	list, err := f.List(root)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "name", list[0].Name)
}
