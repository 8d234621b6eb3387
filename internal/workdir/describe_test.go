package workdir_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/workdir"
)

func TestHolesCountInADescription(t *testing.T) {
	for name, c := range map[string]struct {
		size   int64
		pieces map[int64]string
	}{
		"empty":               {0, nil},
		"text":                {5, map[int64]string{0: "hello"}},
		"only a hole":         {3<<20 + 7, nil},
		"data at the begin":   {3 << 20, map[int64]string{0: "x"}},
		"data at the end":     {3<<20 + 1, map[int64]string{3 << 20: "x"}},
		"data between holes":  {9 << 20, map[int64]string{2 << 20: "x", 5<<20 + 13: "y"}},
		"zeros that are data": {1 << 20, map[int64]string{0: string(make([]byte, 1<<20))}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "image")
			f, err := os.Create(path)
			require.NoError(t, err)
			defer f.Close()
			require.NoError(t, f.Truncate(c.size))
			for at, text := range c.pieces {
				_, err := f.WriteAt([]byte(text), at)
				require.NoError(t, err)
			}
			whole, err := os.ReadFile(path)
			require.NoError(t, err)

			got, err := workdir.DescribeImage(path)
			require.NoError(t, err)
			require.Equal(t, workdir.Image{Path: "image", Size: c.size, SHA256: fmt.Sprintf("%x", sha256.Sum256(whole))}, got)
		})
	}
}
