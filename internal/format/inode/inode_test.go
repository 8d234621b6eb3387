package inode_test

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/inode"
)

func TestContentIsPutTogether(t *testing.T) {
	disk := []byte("..world..hello")
	c := &inode.Content{
		Extents: []inode.Extent{{File: 1, Length: 5, At: 9}, {File: 6, Length: 1, At: 0}, {File: 8, Length: 5, At: 2}},
		Read:    func(b []byte, at int64) error { copy(b, disk[at:]); return nil },
	}
	require.NoError(t, inode.Check(c.Extents))
	const want = "\x00hello.\x00world\x00\x00"
	got, err := io.ReadAll(c.Section(int64(len(want))))
	require.NoError(t, err)
	require.Equal(t, want, string(got))
	for from := range want {
		for to := from; to <= len(want); to++ {
			p := make([]byte, to-from)
			n, err := c.ReadAt(p, int64(from))
			require.NoError(t, err)
			require.Equal(t, want[from:to], string(p[:n]))
		}
	}
	broken := errors.New("broken")
	c.Read = func([]byte, int64) error { return broken }
	_, err = io.ReadAll(c.Section(3))
	require.ErrorIs(t, err, broken)
}

func TestImpossibleExtentsAreRefused(t *testing.T) {
	for name, list := range map[string][]inode.Extent{
		"no length":      {{File: 0, Length: 0}},
		"twice the same": {{File: 0, Length: 8}, {File: 0, Length: 8}},
		"over another":   {{File: 0, Length: 9}, {File: 8, Length: 8}},
		"out of order":   {{File: 8, Length: 8}, {File: 0, Length: 8}},
		"negative":       {{File: -8, Length: 8}},
		"beyond numbers": {{File: math.MaxInt64 - 3, Length: 8}},
	} {
		require.Error(t, inode.Check(list), name)
	}
	require.NoError(t, inode.Check(nil))
}

// The judge is what os makes of the same modes.
func TestModesAreThoseOfStat(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Chmod(file, fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky|0o751))
	link, pipe := filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	require.NoError(t, os.Symlink("file", link))
	require.NoError(t, syscall.Mkfifo(pipe, 0o640))
	for _, path := range []string{file, link, pipe, dir, "/dev/null", "/tmp"} {
		info, err := os.Lstat(path)
		require.NoError(t, err)
		require.Equal(t, info.Mode(), inode.Mode(uint16(info.Sys().(*syscall.Stat_t).Mode)), path)
	}
}
