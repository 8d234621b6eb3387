package ostreerepo_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo"
	"github.com/nestos/nosa-actions/internal/format/ostreerepo/repotest"
	"github.com/nestos/nosa-actions/internal/testkit"
)

func adopt(t *testing.T, dir, tree string) {
	repo, err := ostreerepo.Open(dir)
	require.NoError(t, err)
	w, err := repo.NewWriter(t.Context())
	require.NoError(t, err)
	require.NoError(t, w.Adopt(t.Context(), tree, 2))
	require.NoError(t, w.Close())
}

// ostree is the judge: it finds the adopted files by their numbers, and makes the
// commit that it makes of a tree that it reads itself.
func TestOstreeFindsAdoptedFiles(t *testing.T) {
	tree := repotest.Tree(t)
	read, repo := repotest.Init(t, "bare"), repotest.Init(t, "bare")
	want := repotest.Commit(t, read, tree)
	adopt(t, repo, tree)
	adopt(t, repo, tree) // may be done twice

	said := repotest.Ostree(t, "commit", "--repo="+repo, "--branch=b", "--tree=dir="+tree, "--link-checkout-speedup", "--table-output")

	require.Contains(t, said, "Content Written: 0\n")
	require.NotContains(t, said, "Content Cache Hits: 0\n")
	require.Equal(t, want, repotest.Commit(t, repo, tree, "--link-checkout-speedup"))
	repotest.Ostree(t, "fsck", "--quiet", "--repo="+repo)
}

func TestFilesOfOneContentBecomeOneObject(t *testing.T) {
	testkit.NeedRoot(t)
	repo, tree := repotest.Init(t, "bare"), t.TempDir()
	for _, name := range []string{"one", "two", "three"} {
		require.NoError(t, os.WriteFile(filepath.Join(tree, name), []byte("same\n"), 0o644))
	}

	adopt(t, repo, tree)

	objects, err := filepath.Glob(filepath.Join(repo, "objects/*/*.file"))
	require.NoError(t, err)
	require.Len(t, objects, 1)
	object, err := os.Stat(objects[0])
	require.NoError(t, err)
	require.Zero(t, object.ModTime().Unix())
	for _, name := range []string{"one", "two", "three"} {
		info, err := os.Stat(filepath.Join(tree, name))
		require.NoError(t, err)
		require.True(t, os.SameFile(object, info), name)
	}
}

func TestAnArchiveRepositoryAdoptsNothingButTimes(t *testing.T) {
	repo, tree := repotest.Init(t, "archive"), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(tree, "f"), []byte("x"), 0o644))

	adopt(t, repo, tree)

	info, err := os.Stat(filepath.Join(tree, "f"))
	require.NoError(t, err)
	require.Zero(t, info.ModTime().Unix())
	objects, err := filepath.Glob(filepath.Join(repo, "objects/*/*"))
	require.NoError(t, err)
	require.Empty(t, objects)
}
