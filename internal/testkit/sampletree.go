package testkit

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// SampleTree makes a directory with what makes file systems hard to read; files is
// how many there are in one directory of it.
func SampleTree(t testing.TB, files int) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "many"), 0o755))
	for i := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "many", fmt.Sprintf("file-with-a-long-name-%04d", i)), nil, 0o640))
	}
	write := func(name string, content []byte, mode fs.FileMode) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
		require.NoError(t, os.Chmod(filepath.Join(dir, name), mode))
	}
	write("empty", nil, 0o644)
	write("setuid", []byte("#!/bin/sh\n"), fs.ModeSetuid|0o755)
	write("big", bytes.Repeat([]byte("0123456789abcdef"), 300_000), 0o644)
	f, err := os.Create(filepath.Join(dir, "sparse"))
	require.NoError(t, err)
	for i := range int64(600) { // more extents than an inode holds
		_, err = f.WriteAt([]byte("data"), i*16384)
		require.NoError(t, err)
	}
	require.NoError(t, f.Truncate(12<<20+5))
	require.NoError(t, f.Close())
	require.NoError(t, os.Symlink("big", filepath.Join(dir, "short-link")))
	require.NoError(t, os.Symlink(strings.Repeat("/long", 100), filepath.Join(dir, "long-link")))
	return dir
}
