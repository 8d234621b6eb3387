package ostreerepo_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo"
	"github.com/nestos/nosa-actions/internal/format/ostreerepo/repotest"
)

var modes = []string{"archive", "bare", "bare-user"}

func TestWalkSeesWhatOstreeLists(t *testing.T) {
	tree := repotest.Tree(t)
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			dir := repotest.Init(t, mode)
			sum := repotest.Commit(t, dir, tree)
			repo, err := ostreerepo.Open(dir)
			require.NoError(t, err)
			require.Equal(t, ostreerepo.Mode(mode), repo.Mode())
			c, err := repo.Commit(mustParse(t, sum))
			require.NoError(t, err)

			var got []string
			require.NoError(t, repo.Walk(c, func(e ostreerepo.Entry) error {
				got = append(got, line(t, e))
				return nil
			}))

			want := strings.Split(strings.TrimSpace(repotest.Ostree(t, "ls", "--repo="+dir, "-R", "-C", sum)), "\n")
			slices.Sort(got)
			slices.Sort(want)
			require.Equal(t, strings.Join(want, "\n"), strings.Join(got, "\n"))
		})
	}
}

// line is the entry as "ostree ls -C" prints it.
func line(t *testing.T, e ostreerepo.Entry) string {
	_, err := ostreerepo.ParseXattrs(e.Xattrs)
	require.NoError(t, err)
	kind, sums, target := "-", e.Checksum.String(), ""
	if e.Symlink() {
		kind, target = "l", " -> "+e.Target
	}
	if e.Dir {
		kind, sums = "d", e.Checksum.String()+" "+e.Meta.String()
	}
	return fmt.Sprintf("%s%05o %d %d %6d %s %s%s", kind, e.Perm(), e.UID, e.GID, e.Size, sums, e.Path, target)
}

func TestFileGivesContentOfItsChecksum(t *testing.T) {
	tree := repotest.Tree(t)
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			dir := repotest.Init(t, mode)
			repo, c := openCommit(t, dir, repotest.Commit(t, dir, tree))
			seen := 0
			require.NoError(t, repo.Walk(c, func(e ostreerepo.Entry) error {
				if e.Dir {
					return nil
				}
				seen++
				h, content, err := repo.File(e.Checksum)
				require.NoError(t, err, e.Path)
				defer content.Close()
				hash := h.NewHash()
				n, err := io.Copy(hash, content)
				require.NoError(t, err, e.Path)
				require.EqualValues(t, h.Size, n)
				require.Equal(t, e.Checksum, ostreerepo.Checksum(hash.Sum(nil)), e.Path)
				return nil
			}))
			require.Greater(t, seen, 15)
		})
	}
}

func TestCommitGivesItsMetadata(t *testing.T) {
	dir := repotest.Init(t, "archive")
	sum := repotest.Commit(t, dir, repotest.Tree(t), "--subject=A subject", "--body=And a body")
	repo, c := openCommit(t, dir, "test")
	require.Equal(t, "24.03.1", c.Text("version"))
	require.Equal(t, []string{"/sbin/init", "--now"}, c.Texts("ostree.container-cmd"))
	bootable, ok := c.Bool("ostree.bootable")
	require.True(t, bootable && ok)
	require.Equal(t, "A subject", c.Subject)
	require.Equal(t, "And a body", strings.TrimSpace(c.Body))
	require.Equal(t, time.Unix(1700000000, 0).UTC(), c.Time)
	require.Zero(t, c.Parent)

	next := repotest.Commit(t, dir, t.TempDir(), "--parent="+sum)
	c, err := repo.Commit(mustParse(t, next))
	require.NoError(t, err)
	require.Equal(t, sum, c.Parent.String())
}

func TestWriterMakesTheSameRepository(t *testing.T) {
	tree := repotest.Tree(t)
	source := repotest.Init(t, "archive")
	sum := repotest.Commit(t, source, tree)
	from, c := openCommit(t, source, sum)
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			dir := repotest.Init(t, mode)
			to, err := ostreerepo.Open(dir)
			require.NoError(t, err)
			w, err := to.NewWriter(t.Context())
			require.NoError(t, err)
			copyCommit(t, from, w, mustParse(t, sum), c)
			require.NoError(t, w.Close())

			repotest.Ostree(t, "fsck", "--repo="+dir)
			require.Equal(t, repotest.List(t, source, sum), repotest.List(t, dir, sum))
			left, err := filepath.Glob(filepath.Join(dir, "tmp", "nosa-*"))
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

func copyCommit(t *testing.T, from *ostreerepo.Repo, w *ostreerepo.Writer, sum ostreerepo.Checksum, c *ostreerepo.Commit) {
	metadata := func(kind ostreerepo.Kind, sum ostreerepo.Checksum) {
		data, err := from.Metadata(kind, sum)
		require.NoError(t, err)
		require.NoError(t, w.Metadata(kind, sum, data))
	}
	require.NoError(t, from.Walk(c, func(e ostreerepo.Entry) error {
		if e.Dir {
			metadata(ostreerepo.KindDirtree, e.Checksum)
			metadata(ostreerepo.KindDirmeta, e.Meta)
			return nil
		}
		h, content, err := from.File(e.Checksum)
		require.NoError(t, err)
		defer content.Close()
		return w.File(e.Checksum, h, content)
	}))
	data, err := from.Metadata(ostreerepo.KindCommit, sum)
	require.NoError(t, err)
	require.NoError(t, w.Commit(sum, data, nil))
}

func TestWriterRefusesWhatIsNotItsChecksum(t *testing.T) {
	repo, err := ostreerepo.Open(repotest.Init(t, "archive"))
	require.NoError(t, err)
	w, err := repo.NewWriter(t.Context())
	require.NoError(t, err)
	defer w.Close()
	h := &ostreerepo.Header{Mode: ostreerepo.FileMode(0o644), Size: 3}
	require.ErrorContains(t, w.File(ostreerepo.Checksum{1}, h, strings.NewReader("abc")), "has the checksum")
	require.ErrorContains(t, w.File(ostreerepo.Checksum{1}, h, strings.NewReader("ab")), "has 2 bytes instead of 3")
	require.ErrorContains(t, w.Metadata(ostreerepo.KindDirtree, ostreerepo.Checksum{1}, []byte("x")), "has the checksum")
	require.False(t, repo.Has(ostreerepo.KindFile, ostreerepo.Checksum{1}))
}

func TestWriterWaitsForAPrune(t *testing.T) {
	dir := repotest.Init(t, "archive")
	repo, err := ostreerepo.Open(dir)
	require.NoError(t, err)
	lock := lockExclusive(t, filepath.Join(dir, ".lock"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = repo.NewWriter(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	require.NoError(t, lock.Close())
	w, err := repo.NewWriter(t.Context())
	require.NoError(t, err)
	require.NoError(t, w.Close())
}

func TestOpenAndResolveExplainThemselves(t *testing.T) {
	_, err := ostreerepo.Open(t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)

	dir := repotest.Init(t, "bare-user-only")
	_, err = ostreerepo.Open(dir)
	require.ErrorContains(t, err, `mode "bare-user-only" is not supported`)

	repo, err := ostreerepo.Open(repotest.Init(t, "archive"))
	require.NoError(t, err)
	_, err = repo.Resolve("no/such/ref")
	require.ErrorIs(t, err, ostreerepo.ErrNotFound)
	_, err = repo.Resolve("../../config")
	require.ErrorContains(t, err, "not the name of a ref")
	_, err = repo.Commit(ostreerepo.Checksum{})
	require.ErrorIs(t, err, ostreerepo.ErrNotFound)
}

func TestFileNoticesADamagedObject(t *testing.T) {
	tree := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(tree, "noise"), []byte(repotest.Noise(100_000)), 0o644))
	dir := repotest.Init(t, "archive")
	repo, c := openCommit(t, dir, repotest.Commit(t, dir, tree))
	root, err := repo.Dirtree(c.Tree)
	require.NoError(t, err)
	sum := root.Files[0].Checksum
	path := filepath.Join(dir, "objects", sum.String()[:2], sum.String()[2:]+".filez")
	require.NoError(t, os.Truncate(path, 5000))

	_, content, err := repo.File(sum)
	require.NoError(t, err)
	defer content.Close()
	_, err = io.Copy(io.Discard, content)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestXattrsSurviveEncoding(t *testing.T) {
	for _, n := range []int{0, 1, 3, 300} {
		var list []ostreerepo.Xattr
		for i := range n {
			list = append(list, ostreerepo.Xattr{Name: fmt.Sprintf("user.%04d", i), Value: bytes.Repeat([]byte{byte(i)}, i+1)})
		}
		got, err := ostreerepo.ParseXattrs(ostreerepo.EncodeXattrs(list))
		require.NoError(t, err)
		require.Equal(t, list, got)
	}
}

func openCommit(t *testing.T, dir, rev string) (*ostreerepo.Repo, *ostreerepo.Commit) {
	repo, err := ostreerepo.Open(dir)
	require.NoError(t, err)
	sum, err := repo.Resolve(rev)
	require.NoError(t, err)
	c, err := repo.Commit(sum)
	require.NoError(t, err)
	return repo, c
}

func mustParse(t *testing.T, s string) ostreerepo.Checksum {
	sum, err := ostreerepo.ParseChecksum(s)
	require.NoError(t, err)
	return sum
}
