package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFileAppearsWholeOrStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, Write(path, []byte("old"), 0o640))
	failure := errors.New("half way")
	err := WriteFrom(path, 0o644, func(w io.Writer) error {
		_, _ = io.WriteString(w, "ne")
		return failure
	})
	require.ErrorIs(t, err, failure)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "old", string(text))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode())
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left of the attempt")
}

func TestMoveAndSymlinkReplace(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "from/sub"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "from/sub/f"), []byte("x"), 0o644))
	require.NoError(t, Move(filepath.Join(dir, "from"), filepath.Join(dir, "to")))
	require.FileExists(t, filepath.Join(dir, "to/sub/f"))
	link := filepath.Join(dir, "latest")
	require.NoError(t, Symlink("a", link))
	require.NoError(t, Symlink("b", link))
	target, err := os.Readlink(link)
	require.NoError(t, err)
	require.Equal(t, "b", target)
}
