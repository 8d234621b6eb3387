package sparsefile_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/sparsefile"
)

const block = 1 << 16

// sample is a file of data and holes at the given blocks, and what it reads as.
func sample(t *testing.T, blocks int, data ...int) (*os.File, []byte) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, sparsefile.Create(path, int64(blocks*block)))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	random := rand.NewChaCha8([32]byte{1})
	for _, at := range data {
		noise := make([]byte, block)
		_, _ = random.Read(noise)
		_, err := f.WriteAt(noise, int64(at*block))
		require.NoError(t, err)
	}
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return f, content
}

func TestReadGivesWhatTheFileReadsAs(t *testing.T) {
	for name, data := range map[string][]int{"all holes": {}, "all data": {0, 1, 2, 3}, "hole first": {2, 3}, "hole last": {0}, "holes between": {1, 3}} {
		t.Run(name, func(t *testing.T) {
			f, want := sample(t, 4, data...)
			for _, part := range [][2]int64{{0, 4 * block}, {0, 0}, {5, block + 7}, {block - 1, 3*block + 1}, {3 * block, 4 * block}} {
				var got bytes.Buffer
				require.NoError(t, sparsefile.Read(&got, f, part[0], part[1]))
				require.True(t, bytes.Equal(want[part[0]:part[1]], got.Bytes()), part)
			}
		})
	}
}

func TestReadTellsOfAFileThatIsShorter(t *testing.T) {
	f, _ := sample(t, 1, 0)
	require.ErrorIs(t, sparsefile.Read(io.Discard, f, block/2, 2*block), io.ErrUnexpectedEOF)
}

func TestACopyHasTheHolesOfItsSource(t *testing.T) {
	src, want := sample(t, 64, 3, 40, 41)
	dst, _ := sample(t, 80)
	const at, from, size = 7 * block, block, 60 * block

	require.NoError(t, sparsefile.Copy(dst, at, src, from, size))

	got := make([]byte, size)
	_, err := dst.ReadAt(got, at)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want[from:from+size], got))
	var stat unix.Stat_t
	require.NoError(t, unix.Fstat(int(dst.Fd()), &stat))
	require.EqualValues(t, 3*block/512, stat.Blocks)
}

func TestCreateDoesNotReplace(t *testing.T) {
	f, _ := sample(t, 1, 0)
	require.ErrorIs(t, sparsefile.Create(f.Name(), 1), os.ErrExist)
}
