package ext4_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/ext4"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

func image(t testing.TB, dir string, options ...string) []byte {
	t.Helper()
	testkit.NeedTool(t, "mke2fs")
	file := filepath.Join(t.TempDir(), "fs")
	args := append([]string{"-q", "-F", "-t", "ext4", "-L", "sample", "-U", "96d15588-3596-4b3c-adca-a2ff7279ea63", "-d", dir}, options...)
	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "mke2fs", Args: append(args, file, "64M")})
	require.NoError(t, err)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	return data
}

func TestReadsWhatMke2fsWrites(t *testing.T) {
	dir := testkit.SampleTree(t, 400)
	for name, options := range map[string][]string{
		"default":       nil,
		"1 KiB blocks":  {"-b", "1024"},
		"no checksums":  {"-O", "^metadata_csum"},
		"32 bits":       {"-O", "^64bit,^metadata_csum_seed"},
		"seed":          {"-O", "metadata_csum_seed"},
		"verity":        {"-O", "verity"},
		"small inodes":  {"-I", "128"},
		"as the images": {"-b", "4096", "-O", "^metadata_csum_seed,^orphan_file"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := ext4.Open(bytes.NewReader(image(t, dir, options...)))
			require.NoError(t, err)
			require.Equal(t, "sample", f.Label)
			require.Equal(t, "96d15588-3596-4b3c-adca-a2ff7279ea63", f.UUID.String())
			require.EqualValues(t, 64<<20, f.Size)
			require.True(t, f.Clean)
			require.Equal(t, name == "verity", f.Verity)
			require.InDelta(t, 50<<20, f.Free, 15<<20)
			root, err := f.Root()
			require.NoError(t, err)
			compare(t, f, root, dir)
		})
	}
}

// compare holds a directory against the one that it was made of.
func compare(t *testing.T, f *ext4.FS, dir ext4.Info, path string) {
	t.Helper()
	entries, err := f.List(dir)
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, e := range entries {
		if e.Name == "lost+found" {
			continue
		}
		seen[e.Name] = true
		at := filepath.Join(path, e.Name)
		want, err := os.Lstat(at)
		require.NoError(t, err)
		require.Equal(t, want.Mode(), e.Mode, at)
		switch {
		case e.Mode.IsDir():
			compare(t, f, e, at)
		case e.Mode.IsRegular():
			require.Equal(t, want.Size(), e.Size)
			in, err := f.Open(e)
			require.NoError(t, err)
			got, err := io.ReadAll(in)
			require.NoError(t, err)
			content, err := os.ReadFile(at)
			require.NoError(t, err)
			require.True(t, bytes.Equal(content, got), at)
		default:
			target, err := f.Target(e)
			require.NoError(t, err)
			link, err := os.Readlink(at)
			require.NoError(t, err)
			require.Equal(t, link, target)
		}
	}
	entriesThere, err := os.ReadDir(path)
	require.NoError(t, err)
	require.Len(t, seen, len(entriesThere))
}

func TestDamageIsTold(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("text"), 0o644))
	good := image(t, dir, "-b", "4096")
	for name, c := range map[string]struct {
		at   int
		want string
	}{
		"superblock":       {1024 + 0x78, "the superblock's checksum is wrong"},
		"magic":            {1024 + 0x38, "no superblock"},
		"group descriptor": {4096 + 4, "the checksum of block group 0 is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := bytes.Clone(good)
			bad[c.at] ^= 0x55
			_, err := ext4.Open(bytes.NewReader(bad))
			require.ErrorIs(t, err, ext4.ErrBad)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := ext4.Open(bytes.NewReader(good[:1500]))
	require.ErrorContains(t, err, "no superblock")

	bad := bytes.Clone(good)
	name := bytes.Index(bad, []byte("lost+found"))
	bad[name] ^= 1
	f, err := ext4.Open(bytes.NewReader(bad))
	require.NoError(t, err)
	root, err := f.Root()
	require.NoError(t, err)
	_, err = f.List(root)
	require.ErrorContains(t, err, "the checksum of directory 2 is wrong")
}

// plain is a small file system without checksums, and where in it the inode of
// its one file stands.
func plain(t testing.TB) (disk []byte, inode int) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("text"), 0o644))
	disk = image(t, dir, "-b", "1024", "-O", "^metadata_csum,^has_journal,^resize_inode", "-N", "16")[:2<<20]
	table := int(binary.LittleEndian.Uint32(disk[2048+8:]))
	inode = table*1024 + 11*256 // the twelfth
	require.EqualValues(t, 4, disk[inode+4], "the size of the file")
	return disk, inode
}

// node is the begin of a node of an extent tree.
func node(depth, count int) []byte {
	return []byte{0x0a, 0xf3, byte(count), 0, byte(count), 0, byte(depth), 0, 0, 0, 0, 0}
}

// leaf is an extent, and way an entry that leads to a block with a node.
func leaf(file, length, at byte) []byte { return []byte{file, 0, 0, 0, length, 0, 0, 0, at, 0, 0, 0} }
func way(block uint16) []byte {
	return []byte{0, 0, 0, 0, byte(block), byte(block >> 8), 0, 0, 0, 0, 0, 0}
}

// Each of these once kept the reader busy for ever, or brought it down.
func TestHostileExtentsAreRefused(t *testing.T) {
	good, inode := plain(t)
	for name, c := range map[string]struct {
		root []byte
		want string
	}{
		"no length":      {slices.Concat(node(0, 2), leaf(0, 0, 9), leaf(0, 0, 9)), "impossible length"},
		"twice the same": {slices.Concat(node(0, 2), leaf(1, 1, 9), leaf(1, 1, 9)), "out of order"},
		"no end":         {slices.Concat(node(5, 4), bytes.Repeat(way(1504), 4)), "have no end"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := bytes.Clone(good)
			copy(bad[inode+0x28:], c.root)
			for depth := range 5 { // each leads to the next one, again and again
				at := uint16(1500 + depth)
				copy(bad[int(at)*1024:], append(node(depth, 84), bytes.Repeat(way(at-1), 84)...))
			}
			copy(bad[1500*1024:], node(0, 0))
			f, err := ext4.Open(bytes.NewReader(bad))
			require.NoError(t, err)
			root, err := f.Root()
			require.NoError(t, err)
			list, err := f.List(root)
			require.NoError(t, err)
			at := slices.IndexFunc(list, func(i ext4.Info) bool { return i.Name == "file" })
			_, err = f.Open(list[at])
			require.ErrorIs(t, err, ext4.ErrBad)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func FuzzOpen(f *testing.F) {
	good, inode := plain(f)
	f.Add(0, []byte{}, 0, []byte{})
	f.Add(1024+0x20, []byte{1}, 2048+8, []byte{9})
	f.Add(inode+0x28, slices.Concat(node(1, 1), way(1500)), 1500*1024, slices.Concat(node(0, 2), leaf(0, 1, 9), leaf(1, 1, 9)))
	f.Add(inode+4, []byte{0, 9}, inode+160, []byte{0, 0, 2, 0xea, 1, 1, 40, 0, 0, 0, 0, 0, 4})
	f.Add(inode, []byte{0xff, 0xa1}, inode+4, []byte{100, 0, 0, 0})
	f.Fuzz(func(t *testing.T, a int, x []byte, b int, y []byte) {
		bad := bytes.Clone(good)
		for at, change := range map[int][]byte{a: x, b: y} {
			if at >= 0 && at < len(bad) {
				copy(bad[at:], change)
			}
		}
		fsys, err := ext4.Open(bytes.NewReader(bad))
		if err != nil {
			return
		}
		root, err := fsys.Root()
		if err != nil {
			return
		}
		list, _ := fsys.List(root)
		for _, i := range list {
			_, _ = fsys.Xattrs(i)
			if in, err := fsys.Open(i); err == nil {
				_, _ = io.Copy(io.Discard, io.LimitReader(in, 1<<20))
			}
			if i.Mode&fs.ModeSymlink != 0 {
				_, _ = fsys.Target(i)
			}
		}
	})
}
