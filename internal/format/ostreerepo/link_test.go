package ostreerepo_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo"
	"github.com/nestos/nosa-actions/internal/format/ostreerepo/repotest"
)

// ostree is the judge: a linked commit is whole, and nothing of it was copied.
func TestACommitIsLinked(t *testing.T) {
	tree := repotest.Tree(t)
	from, to := repotest.Init(t, "bare"), repotest.Init(t, "bare")
	old := repotest.Commit(t, from, tree)
	require.NoError(t, os.WriteFile(filepath.Join(tree, "usr/bin/new"), []byte("new\n"), 0o755))
	commit := repotest.Commit(t, from, tree)
	require.NotEqual(t, old, commit)
	sum, err := ostreerepo.ParseChecksum(commit)
	require.NoError(t, err)
	source, err := ostreerepo.Open(from)
	require.NoError(t, err)
	target, err := ostreerepo.Open(to)
	require.NoError(t, err)
	require.True(t, target.CanLink(source))

	for range 2 { // what is there already stays
		w, err := target.NewWriter(t.Context())
		require.NoError(t, err)
		require.NoError(t, w.LinkCommit(t.Context(), source, sum, 2))
		require.NoError(t, w.Close())
	}

	repotest.Ostree(t, "refs", "--repo="+to, "--create=b", commit)
	repotest.Ostree(t, "fsck", "--quiet", "--repo="+to)
	objects, err := filepath.Glob(filepath.Join(to, "objects/*/*"))
	require.NoError(t, err)
	pulled := repotest.Init(t, "bare")
	repotest.Ostree(t, "pull-local", "--repo="+pulled, from, commit)
	for _, object := range objects {
		name, err := filepath.Rel(to, object)
		require.NoError(t, err)
		mine, err := os.Lstat(object)
		require.NoError(t, err)
		theirs, err := os.Lstat(filepath.Join(from, name))
		require.NoError(t, err)
		require.True(t, os.SameFile(mine, theirs), name)
		require.FileExists(t, filepath.Join(pulled, name))
	}
	all, err := filepath.Glob(filepath.Join(pulled, "objects/*/*"))
	require.NoError(t, err)
	require.Len(t, objects, len(all))
}

func TestACommitWithoutAllOfItsObjectsIsNotLinked(t *testing.T) {
	from, to := repotest.Init(t, "bare"), repotest.Init(t, "bare")
	commit := repotest.Commit(t, from, repotest.Tree(t))
	files, err := filepath.Glob(filepath.Join(from, "objects/*/*.file"))
	require.NoError(t, err)
	require.NoError(t, os.Remove(files[0]))
	sum, err := ostreerepo.ParseChecksum(commit)
	require.NoError(t, err)
	source, err := ostreerepo.Open(from)
	require.NoError(t, err)
	target, err := ostreerepo.Open(to)
	require.NoError(t, err)
	w, err := target.NewWriter(t.Context())
	require.NoError(t, err)
	defer w.Close()

	err = w.LinkCommit(t.Context(), source, sum, 2)

	require.ErrorIs(t, err, os.ErrNotExist)
	require.False(t, target.Has(ostreerepo.KindCommit, sum))
}

func TestOnlyBareRepositoriesOfOneFileSystemAreLinked(t *testing.T) {
	open := func(mode string) *ostreerepo.Repo {
		repo, err := ostreerepo.Open(repotest.Init(t, mode))
		require.NoError(t, err)
		return repo
	}
	require.False(t, open("bare").CanLink(open("archive")))
	require.False(t, open("bare-user").CanLink(open("bare-user")), "objects of users belong to different owners")
}

// What we write, ostree's own command writes.
func TestOptionsAreThoseThatOstreeSets(t *testing.T) {
	ours, theirs := repotest.Init(t, "bare"), repotest.Init(t, "bare")
	for _, o := range []ostreerepo.Option{
		{Section: "sysroot", Key: "bootloader", Value: "none"},
		{Section: "core", Key: "fsync", Value: "false"},
		{Section: "sysroot", Key: "bls-append-except-default", Value: `grub_users=""`},
		{Section: "core", Key: "fsync", Value: "true"},
		{Section: "core", Key: "some-path", Value: "/a/b c"},
		{Section: "core", Key: "some-path"},
		{Section: "sysroot", Key: "readonly", Value: "true"},
		{Section: "sysroot", Key: "bootloader"},
	} {
		require.NoError(t, ostreerepo.Configure(ours, o))
		if o.Value == "" {
			repotest.Ostree(t, "config", "--repo="+theirs, "unset", o.Section+"."+o.Key)
		} else {
			repotest.Ostree(t, "config", "--repo="+theirs, "set", o.Section+"."+o.Key, o.Value)
		}
		a, err := os.ReadFile(filepath.Join(ours, "config"))
		require.NoError(t, err)
		b, err := os.ReadFile(filepath.Join(theirs, "config"))
		require.NoError(t, err)
		for _, section := range []string{"core", "sysroot"} {
			require.ElementsMatch(t, keys(string(b), section), keys(string(a), section), "%+v\n%s\n%s", o, a, b)
		}
	}
	got := repotest.Ostree(t, "config", "--repo="+ours, "get", "sysroot.bls-append-except-default")
	require.Equal(t, "grub_users=\"\"\n", got)
}

// keys lists the lines of a section.
func keys(text, section string) (lines []string) {
	_, rest, _ := strings.Cut("\n"+text, "\n["+section+"]\n")
	own, _, _ := strings.Cut(rest, "\n[")
	return strings.Fields(strings.ReplaceAll(own, " ", "_"))
}
