package ostree

import (
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
	require.ErrorContains(t, err, "statoverride line 1: the overlay has no /etc/nothere")
}

func TestCommitTreeCarriesItsMetadata(t *testing.T) {
	repo := open(t)
	tree := filepath.Join(t.TempDir(), "tree")
	write(t, filepath.Join(tree, "usr/bin/x"), "x", 0o755)
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
	sum, err := repo.CommitTree(t.Context(), TreeCommit{
		Tree: tree, Ref: "os/x86_64/test", Timestamp: time.Unix(1700000000, 0), Metadata: metadata,
	})
	require.NoError(t, err)

	shown, err := repo.Show(t.Context(), "os/x86_64/test")
	require.NoError(t, err)
	require.Equal(t, sum, shown.Checksum)
	require.True(t, shown.Timestamp.Equal(time.Unix(1700000000, 0)))
	require.Len(t, shown.ContentChecksum, 64)
	require.Equal(t, metadata["version"], shown.Version)
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

func TestRefsComeAndGo(t *testing.T) {
	repo := open(t)
	tree := filepath.Join(t.TempDir(), "tree")
	write(t, filepath.Join(tree, "a"), "x", 0o644)
	sum, err := repo.CommitTree(t.Context(), TreeCommit{Tree: tree, Timestamp: time.Unix(0, 0)})
	require.NoError(t, err)
	require.True(t, repo.Has(sum))
	require.False(t, repo.IsPartial(sum))

	require.NoError(t, repo.SetRef(t.Context(), "12.0", sum))
	got, err := repo.Resolve(t.Context(), "12.0")
	require.NoError(t, err)
	require.Equal(t, sum, got)
	require.NoError(t, repo.DeleteRef(t.Context(), "12.0"))
	got, err = repo.Resolve(t.Context(), "12.0")
	require.NoError(t, err)
	require.Empty(t, got)

	require.NoError(t, repo.Prune(t.Context(), 0))
	require.False(t, repo.Has(sum), "no ref reaches it any more")
}
