package ostree

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

func open(t *testing.T) *Repo {
	testkit.NeedTool(t, "ostree")
	testkit.NeedRoot(t)
	repo, err := OpenCache(t.Context(), tool.Host{}, filepath.Join(t.TempDir(), "repo"), true)
	require.NoError(t, err)
	return repo
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), mode))
	require.NoError(t, os.Chmod(path, mode))
}

func TestOverlaysAreNormalised(t *testing.T) {
	repo := open(t)
	dir := filepath.Join(t.TempDir(), "05core")
	write(t, filepath.Join(dir, "usr/bin/tool"), "#!/bin/sh\n", 0o777|os.ModeSetuid)
	write(t, filepath.Join(dir, "etc/secret"), "x", 0o664)
	write(t, filepath.Join(dir, "etc/plain"), "x", 0o664)
	write(t, filepath.Join(dir, "statoverride"), "# comment\n\n=384 /etc/secret\n+2048 /usr/bin/tool\n", 0o644)
	require.NoError(t, os.Symlink("tool", filepath.Join(dir, "usr/bin/link")))
	require.NoError(t, os.Chown(filepath.Join(dir, "etc/plain"), 12, 34))
	overlay := Overlay{Dir: dir, Ref: "overlay/05core", Timestamp: time.Unix(1700000000, 0)}

	commit, err := repo.CommitOverlay(t.Context(), overlay, t.TempDir())
	require.NoError(t, err)

	out, err := repo.ostree(t.Context(), "ls", "-R", "overlay/05core")
	require.NoError(t, err)
	require.Equal(t, `d00755 0 0      0 /
d00755 0 0      0 /etc
-00644 0 0      1 /etc/plain
-00600 0 0      1 /etc/secret
d00755 0 0      0 /usr
d00755 0 0      0 /usr/bin
l00777 0 0      0 /usr/bin/link -> tool
-04555 0 0     10 /usr/bin/tool`, out)
	require.FileExists(t, filepath.Join(dir, "statoverride"), "the config repository stays as it is")

	again, err := repo.CommitOverlay(t.Context(), overlay, t.TempDir())
	require.NoError(t, err)
	require.Equal(t, commit, again, "same content, same commit")
}

func TestAStatoverrideThatMatchesNothingIsRefused(t *testing.T) {
	repo := open(t)
	dir := filepath.Join(t.TempDir(), "05core")
	write(t, filepath.Join(dir, "etc/plain"), "x", 0o644)
	write(t, filepath.Join(dir, "statoverride"), "=384 /etc/nothere\n", 0o644)
	_, err := repo.CommitOverlay(t.Context(), Overlay{Dir: dir, Ref: "overlay/05core"}, t.TempDir())
	require.ErrorContains(t, err, "statoverride:1:1: the overlay has no /etc/nothere")
}

func TestCommitTreeCarriesItsMetadata(t *testing.T) {
	repo := open(t)
	tree := filepath.Join(t.TempDir(), "tree")
	write(t, filepath.Join(tree, "usr/bin/x"), "x", 0o755)
	write(t, filepath.Join(tree, "usr/bin/y"), "x", 0o755)
	metadata := Metadata{
		"version":                 `1.0 'quoted' \ "both"`,
		"nestos.stream":           "stable\nline",
		"ostree.bootable":         true,
		"ostree.container-cmd":    []string{"/usr/bin/bash", "-l"},
		"rpmostree.rpmdb.pkglist": [][5]string{{"bash", "0", "5.2", "1", "x86_64"}},
		"rpmostree.rpmmd-repos":   []RepoTime{{ID: "pool", Timestamp: 1700000000}},
		"list":                    []any{"a", "b"},
		"empty":                   []string{},
		"number":                  42,
	}
	sum, stats, err := repo.CommitTree(t.Context(), TreeCommit{
		Tree: tree, Ref: "os/x86_64/test", Timestamp: time.Unix(1700000000, 0), Metadata: metadata,
	})
	require.NoError(t, err)
	require.Positive(t, stats.MetadataTotal)
	require.EqualValues(t, 5, stats.MetadataWritten, "a commit, three directories and their one dirmeta")
	stats.MetadataTotal, stats.MetadataWritten = 0, 0
	require.Equal(t, Stats{ContentTotal: 2, ContentWritten: 1, BytesWritten: 1}, stats, "two files of one content")

	at, err := repo.Resolve(t.Context(), "os/x86_64/test")
	require.NoError(t, err)
	require.Equal(t, sum, at)
	shown, err := repo.Show(sum)
	require.NoError(t, err)
	require.Equal(t, sum, shown.Checksum)
	require.True(t, shown.Timestamp.Equal(time.Unix(1700000000, 0)))
	text, err := repo.ostree(t.Context(), "show", sum)
	require.NoError(t, err)
	require.Contains(t, text, "ContentChecksum:  "+shown.ContentChecksum)
	require.Equal(t, metadata["version"], shown.Version)
	require.Empty(t, shown.Parent)
	plain, err := json.Marshal(shown.Metadata)
	require.NoError(t, err)
	given, err := json.Marshal(metadata)
	require.NoError(t, err)
	require.JSONEq(t, string(given), string(plain), "what goes in comes out")
	stream, err := repo.ostree(t.Context(), "show", "--print-metadata-key=nestos.stream", sum)
	require.NoError(t, err)
	require.Equal(t, `'stable\nline'`, stream)
	list, err := repo.ostree(t.Context(), "show", "--print-metadata-key=rpmostree.rpmdb.pkglist", sum)
	require.NoError(t, err)
	require.Equal(t, "[('bash', '0', '5.2', '1', 'x86_64')]", list)
	repos, err := repo.ostree(t.Context(), "show", "--print-metadata-key=rpmostree.rpmmd-repos", sum)
	require.NoError(t, err)
	// rpm-ostree stores host order; ostree show takes every number for big-endian.
	shownAs := bits.ReverseBytes64(1700000000)
	require.Equal(t, fmt.Sprintf("[{'id': <'pool'>, 'timestamp': <uint64 %d>}]", shownAs), repos)
}

func TestMetadataOfNoKnownShapeIsRefused(t *testing.T) {
	_, err := variantText(map[string]any{})
	require.ErrorContains(t, err, "has no place in commit metadata")
}

func TestAVersionThatLooksLikeAChecksumIsARef(t *testing.T) {
	repo := open(t)
	tree := filepath.Join(t.TempDir(), "tree")
	var sums []string
	for i := range 20 { // two that begin with the same digit, at least
		write(t, filepath.Join(tree, "a"), fmt.Sprint(i), 0o644)
		sum, _, err := repo.CommitTree(t.Context(), TreeCommit{Tree: tree, Timestamp: time.Unix(0, 0)})
		require.NoError(t, err)
		sums = append(sums, sum)
	}
	for _, ref := range []string{"1", "a", "12", "40.20250114.dev.0", "os/x86_64/stable"} {
		for _, sum := range sums {
			require.NoError(t, repo.SetRef(ref, sum))
			got, err := repo.Resolve(t.Context(), ref)
			require.NoError(t, err)
			require.Equal(t, sum, got)
		}
	}
	listed, err := repo.ostree(t.Context(), "refs")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"1", "a", "12", "40.20250114.dev.0", "os/x86_64/stable"}, strings.Fields(listed))
	for _, ref := range []string{"", "..", "a/../b", "/a", "a b", "1~2", "a/"} {
		require.Error(t, repo.SetRef(ref, sums[0]), ref)
		require.NoError(t, repo.DeleteRef(ref), ref)
	}
	require.ErrorContains(t, repo.SetRef("x", strings.Repeat("0", 64)), "there is no commit")
}

func TestRefsComeAndGo(t *testing.T) {
	repo := open(t)
	tree := filepath.Join(t.TempDir(), "tree")
	write(t, filepath.Join(tree, "a"), "x", 0o644)
	sum, _, err := repo.CommitTree(t.Context(), TreeCommit{Tree: tree, Timestamp: time.Unix(0, 0)})
	require.NoError(t, err)
	require.True(t, repo.IsWhole(sum))

	require.NoError(t, repo.SetRef("12.0", sum))
	got, err := repo.Resolve(t.Context(), "12.0")
	require.NoError(t, err)
	require.Equal(t, sum, got)
	require.NoError(t, repo.DeleteRef("12.0"))
	got, err = repo.Resolve(t.Context(), "12.0")
	require.NoError(t, err)
	require.Empty(t, got)

	require.NoError(t, repo.Prune(t.Context(), 0))
	require.False(t, repo.Has(sum), "no ref reaches it any more")
}

func TestTheMachinesAttributesStayOutOfACommit(t *testing.T) {
	commit := func(name string, mark func(tree string)) string {
		repo := open(t)
		tree := filepath.Join(t.TempDir(), "tree")
		write(t, filepath.Join(tree, "usr/bin/ping"), "x", 0o755)
		capability := []byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
		require.NoError(t, unix.Lsetxattr(filepath.Join(tree, "usr/bin/ping"), "security.capability", capability, 0))
		mark(tree)
		sum, _, err := repo.CommitTree(t.Context(), TreeCommit{Tree: tree, Timestamp: time.Unix(0, 0)})
		require.NoError(t, err)
		listing, err := repo.ostree(t.Context(), "ls", "-RX", sum)
		require.NoError(t, err)
		require.Contains(t, listing, "security.capability", name)
		require.NotContains(t, listing, "user.mark", name)
		return sum
	}
	plain := commit("plain", func(string) {})
	marked := commit("marked", func(tree string) {
		err := unix.Lsetxattr(filepath.Join(tree, "usr/bin/ping"), "user.mark", []byte("x"), 0)
		if errors.Is(err, unix.ENOTSUP) {
			testkit.Miss(t, "the file system has no user attributes")
		}
		require.NoError(t, err)
		require.NoError(t, unix.Lsetxattr(filepath.Join(tree, "usr"), "user.mark", []byte("x"), 0))
	})
	require.Equal(t, plain, marked)
}

func TestACommitWithoutItsContentIsPartialUntilTheContentComes(t *testing.T) {
	from, to := open(t), open(t)
	tree := filepath.Join(t.TempDir(), "tree")
	write(t, filepath.Join(tree, "a"), "x", 0o644)
	sum, _, err := from.CommitTree(t.Context(), TreeCommit{Tree: tree, Timestamp: time.Unix(0, 0), Metadata: Metadata{"version": "1"}})
	require.NoError(t, err)
	object, err := from.CommitObject(sum)
	require.NoError(t, err)

	added, err := to.AddPartial(object)
	require.NoError(t, err)
	require.Equal(t, sum, added)
	require.True(t, to.Has(sum))
	require.False(t, to.IsWhole(sum))
	require.NoError(t, to.SetRef("1", sum))
	require.NoError(t, to.Prune(t.Context(), 2), "libostree knows the mark")
	shown, err := to.Show(sum)
	require.NoError(t, err)
	require.Equal(t, "1", shown.Version)

	write(t, filepath.Join(tree, "b"), "y", 0o644)
	child, _, err := to.CommitTree(t.Context(), TreeCommit{Tree: tree, Parent: sum, Timestamp: time.Unix(0, 0)})
	require.NoError(t, err)
	shown, err = to.Show(child)
	require.NoError(t, err)
	require.Equal(t, sum, shown.Parent)

	_, err = from.AddPartial(object)
	require.NoError(t, err)
	require.True(t, from.IsWhole(sum), "a commit that is there stays whole")
	_, err = to.AddPartial([]byte("no commit"))
	require.Error(t, err)
}
