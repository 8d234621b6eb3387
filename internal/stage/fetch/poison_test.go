package fetch

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/rpmrepo"
)

const poison = "poison from another run"

// poisons are ways to put something in the place of a package, or beside it.
var poisons = map[string]func(t *testing.T, path string, whole []byte){
	"altered in place": func(t *testing.T, path string, whole []byte) {
		copy(whole[len(whole)/2:], poison)
		require.NoError(t, os.WriteFile(path, whole, 0o644))
	},
	"lengthened": func(t *testing.T, path string, whole []byte) {
		require.NoError(t, os.WriteFile(path, append(whole, poison...), 0o644))
	},
	"cut off": func(t *testing.T, path string, whole []byte) {
		require.NoError(t, os.WriteFile(path, append([]byte(poison), whole[:100]...), 0o644))
	},
	"link to poison": func(t *testing.T, path string, _ []byte) {
		elsewhere := filepath.Join(t.TempDir(), "elsewhere")
		require.NoError(t, os.WriteFile(elsewhere, []byte(poison), 0o644))
		require.NoError(t, os.Symlink(elsewhere, path))
	},
	// It is whole while fetch looks, and changes afterwards.
	"link to the package": func(t *testing.T, path string, whole []byte) {
		elsewhere := filepath.Join(t.TempDir(), "elsewhere")
		require.NoError(t, os.WriteFile(elsewhere, whole, 0o644))
		require.NoError(t, os.Symlink(elsewhere, path))
		t.Cleanup(func() { require.NoError(t, os.WriteFile(elsewhere, []byte(poison), 0o644)) })
	},
	"dangling link": func(t *testing.T, path string, _ []byte) {
		require.NoError(t, os.Symlink("/nothing/here", path))
	},
	"directory": func(t *testing.T, path string, _ []byte) {
		require.NoError(t, os.MkdirAll(path, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(path, "x.rpm"), []byte(poison), 0o644))
	},
	"pipe": func(t *testing.T, path string, _ []byte) {
		require.NoError(t, syscall.Mkfifo(path, 0o644))
	},
	"of another name": func(t *testing.T, path string, whole []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), "app-9-9.noarch.rpm"), append(whole, poison...), 0o644))
	},
}

// A cache of packages may come from anybody: what is used of it is what the
// repository's metadata, read anew, vouches for.
func TestNothingPoisonedIsTakenFromACache(t *testing.T) {
	makePools(t)
	var given atomic.Int64
	files := []string{"app-1-1.noarch", "doc-1-1.noarch", "lib-2-1.noarch", "native-1-1.x86_64", "tool-1-1.noarch"}
	ways := slices.Sorted(maps.Keys(poisons))
	for len(ways) > 0 {
		batch := ways[:min(len(files), len(ways))]
		ways = ways[len(batch):]
		for _, url := range []string{"file://" + pools["base"], counter(t, &given)} {
			w := newWorld(t, map[string]string{
				"base.repo":     "[base]\nbaseurl=" + url + "\n",
				"manifest.yaml": "packages: [app, doc, native, tool]\n",
			})
			cache := rpmrepo.Cache(w.dir.Cache())
			require.NoError(t, os.MkdirAll(cache.Packages(), 0o755))
			for i, way := range batch {
				whole, err := os.ReadFile(filepath.Join(pools["base"], files[i]+".rpm"))
				require.NoError(t, err)
				poisons[way](t, filepath.Join(cache.Packages(), files[i]+".rpm"), whole)
			}

			require.Equal(t, files, w.fetched(Options{}), batch)

			record, err := cache.Load()
			require.NoError(t, err)
			for _, p := range record.Packages {
				path := filepath.Join(cache.Packages(), p.File)
				info, err := os.Lstat(path)
				require.NoError(t, err)
				require.True(t, info.Mode().IsRegular(), "%s: %s", path, batch)
				text, err := os.ReadFile(path)
				require.NoError(t, err)
				require.False(t, bytes.Contains(text, []byte(poison)), "%s: %s", path, batch)
			}
		}
	}
}

// The record of another run names what that run wanted: it is written anew, not
// believed.
func TestTheRecordOfACacheIsNotBelieved(t *testing.T) {
	w := newWorld(t, nil)
	w.fetched(Options{})
	cache := rpmrepo.Cache(w.dir.Cache())
	record, err := cache.Load()
	require.NoError(t, err)
	bad := append([]byte{}, poison...)
	for i := range record.Packages {
		record.Packages[i].Checksum = "sha256:0000"
		require.NoError(t, os.WriteFile(filepath.Join(cache.Packages(), record.Packages[i].File), bad, 0o644))
	}
	require.NoError(t, cache.Save(record))

	w.fetched(Options{})

	require.NoError(t, filepath.WalkDir(cache.Packages(), func(path string, e fs.DirEntry, err error) error {
		require.NoError(t, err)
		if strings.HasSuffix(path, ".rpm") {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.False(t, bytes.Contains(text, bad), path)
		}
		return nil
	}))
}
