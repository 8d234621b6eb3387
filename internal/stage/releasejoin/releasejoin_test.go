package releasejoin_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/streammeta"
	"github.com/nestos/nosa-actions/internal/stage/releasejoin"
)

// downloaded is a directory with two split files, the second without its parts.
func downloaded(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	a := streammeta.Assets{SchemaVersion: "1.0.0", Release: "1.0"}
	for _, name := range []string{"os.img", "other.img"} {
		content := []byte("content of " + name)
		asset := streammeta.Asset{Name: name, Size: int64(len(content)), SHA256: fmt.Sprintf("%x", sha256.Sum256(content))}
		for i, part := range [][]byte{content[:7], content[7:]} {
			p := streammeta.Part{Name: fmt.Sprintf("%s.part%03d", name, i+1), Size: int64(len(part)), SHA256: fmt.Sprintf("%x", sha256.Sum256(part))}
			asset.Parts = append(asset.Parts, p)
			if name == "os.img" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, p.Name), part, 0o644))
			}
		}
		a.Assets = append(a.Assets, asset)
	}
	data, err := a.JSON()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, streammeta.AssetsName), data, 0o644))
	return dir
}

func TestPartsBecomeTheFile(t *testing.T) {
	dir := downloaded(t)

	paths, err := releasejoin.Run(t.Context(), releasejoin.Options{Dir: dir, Remove: true})

	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "os.img")}, paths)
	data, err := os.ReadFile(paths[0])
	require.NoError(t, err)
	require.Equal(t, "content of os.img", string(data))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "the parts are gone")
}

func TestWhatCannotBeJoined(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string, o *releasejoin.Options)
		want   string
	}{
		"damaged part": {func(t *testing.T, dir string, _ *releasejoin.Options) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "os.img.part002"), []byte(" of OS.img "), 0o644))
		}, "part os.img.part002 has the sha256"},
		"missing part": {func(t *testing.T, dir string, _ *releasejoin.Options) {
			require.NoError(t, os.Remove(filepath.Join(dir, "os.img.part002")))
		}, "part os.img.part002 is not here; download it"},
		"unknown file":   {func(_ *testing.T, _ string, o *releasejoin.Options) { o.Files = []string{"x.img"} }, "has no split file x.img"},
		"no parts of it": {func(_ *testing.T, _ string, o *releasejoin.Options) { o.Files = []string{"other.img"} }, "part other.img.part001 is not here"},
		"no map": {func(t *testing.T, dir string, _ *releasejoin.Options) {
			require.NoError(t, os.Remove(filepath.Join(dir, streammeta.AssetsName)))
		}, "has no assets.json; download it"},
		"hostile map": {func(t *testing.T, dir string, _ *releasejoin.Options) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, streammeta.AssetsName), []byte(`{"schema-version": "1.0.0", "assets": [{"name": "../x"}]}`), 0o644))
		}, `asset "../x": not a name`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := downloaded(t)
			o := releasejoin.Options{Dir: dir, Remove: true}
			c.change(t, dir, &o)

			_, err := releasejoin.Run(t.Context(), o)

			require.ErrorContains(t, err, c.want)
			require.NoFileExists(t, filepath.Join(dir, "os.img"))
			left, err := filepath.Glob(filepath.Join(dir, ".*"))
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}
