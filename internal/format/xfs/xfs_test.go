package xfs_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/xfs"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// image makes a file system with the content of a directory, which only the
// kernel can put there.
func image(t testing.TB, dir string, options ...string) []byte {
	t.Helper()
	testkit.NeedRoot(t)
	testkit.NeedTool(t, "mkfs.xfs", "unshare", "mount")
	testkit.NeedFilesystem(t, "xfs")
	file := filepath.Join(t.TempDir(), "fs")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	require.NoError(t, os.Truncate(file, 320<<20))
	run := func(name string, args ...string) {
		_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: name, Args: args})
		require.NoError(t, err)
	}
	run("mkfs.xfs", append(append([]string{"-q", "-L", "sample", "-m", "uuid=910678ff-f77e-4a7d-8d53-86f2ac47a823"}, options...), file)...)
	run("unshare", "--mount", "--propagation", "private", "sh", "-ec",
		`mount -o loop,nouuid "$1" "$3"; cp -a --sparse=always "$2/." "$3/"; chattr +i "$3/empty"; umount "$3"`, "sh", file, dir, t.TempDir())
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	return data
}

func TestReadsWhatTheKernelWrites(t *testing.T) {
	dir := testkit.SampleTree(t, 1000)
	for name, options := range map[string][]string{
		"default": nil, "1 KiB blocks": {"-b", "size=1024"}, "4k sectors": {"-s", "size=4096"},
		"large directories": {"-n", "size=16384"}, "many extents": {"-i", "nrext64=1"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := xfs.Open(bytes.NewReader(image(t, dir, options...)))
			require.NoError(t, err)
			require.Equal(t, "sample", f.Label)
			require.Equal(t, "910678ff-f77e-4a7d-8d53-86f2ac47a823", f.UUID.String())
			require.EqualValues(t, 320<<20, f.Size)
			require.Less(t, f.Free, f.Size)
			root, err := f.Root()
			require.NoError(t, err)
			compare(t, f, root, dir)
			list, err := f.List(root)
			require.NoError(t, err)
			for _, i := range list {
				require.Equal(t, i.Name == "empty", i.Immutable, i.Name)
				attrs, err := f.Xattrs(i)
				require.NoError(t, err)
				require.Empty(t, attrs)
			}
		})
	}
}

// compare holds a directory against the one that it was made of.
func compare(t *testing.T, f *xfs.FS, dir xfs.Info, path string) {
	t.Helper()
	entries, err := f.List(dir)
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, e := range entries {
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
	require.NoError(t, os.WriteFile(filepath.Join(dir, "empty"), nil, 0o644))
	good := image(t, dir)
	bad := bytes.Clone(good[:1<<20])
	bad[108] ^= 1
	_, err := xfs.Open(bytes.NewReader(bad))
	require.ErrorIs(t, err, xfs.ErrBad)
	require.ErrorContains(t, err, "the superblock's checksum is wrong")
	_, err = xfs.Open(bytes.NewReader(good[:100]))
	require.ErrorContains(t, err, "no superblock")
	root := bytes.Index(good, []byte("IN\x41"))
	require.Positive(t, root)
	bad = bytes.Clone(good)
	bad[root+8] ^= 1
	f, err := xfs.Open(bytes.NewReader(bad))
	require.NoError(t, err)
	_, err = f.Root()
	require.ErrorContains(t, err, "the checksum of inode")
}

func FuzzOpen(f *testing.F) {
	sb := make([]byte, 8192)
	copy(sb, "XFSB")
	f.Add(sb)
	f.Fuzz(func(_ *testing.T, data []byte) {
		fsys, _ := xfs.Open(bytes.NewReader(data))
		if fsys == nil {
			return
		}
		root, err := fsys.Root()
		if err != nil {
			return
		}
		list, _ := fsys.List(root)
		for _, i := range list {
			_, _ = fsys.Target(i)
			_, _ = fsys.Xattrs(i)
			if in, err := fsys.Open(i); err == nil && i.Size < 1<<20 {
				_, _ = io.Copy(io.Discard, in)
			}
		}
	})
}
