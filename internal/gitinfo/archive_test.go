package gitinfo_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/gitinfo"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

var commitTime = time.Date(2025, 1, 14, 8, 0, 0, 0, time.UTC)

// kept are the files of a tree that git keeps.
var kept = []string{
	".gitignore", "manifest-dev.yaml", "manifest.yaml", "overlay.d/05core/usr/bin/hello", "overlay.d/05core/usr/lib/a long name ä", "removed",
}

// tree makes a config tree; umask and time differ between two of them.
func tree(t *testing.T, mode os.FileMode) string {
	dir := t.TempDir()
	for name, content := range map[string]string{
		".git/HEAD": "ref", ".gitignore": "x", "manifest.yaml": "ref: x\n",
		"overlay.d/05core/usr/bin/hello": "#!/bin/sh\n", "overlay.d/05core/.git": "gitdir: y",
		"overlay.d/05core/usr/lib/a long name ä": "1", ".env": "PASSWORD=x", "local/notes": "x",
	} {
		write(t, filepath.Join(dir, name), content)
	}
	require.NoError(t, os.Symlink("manifest.yaml", filepath.Join(dir, "manifest-dev.yaml")))
	require.NoError(t, os.Chmod(filepath.Join(dir, "overlay.d/05core/usr/bin/hello"), mode|0o111))
	require.NoError(t, os.Chmod(filepath.Join(dir, "manifest.yaml"), mode))
	return dir
}

func TestArchiveIsReadableAndTheSameEachTime(t *testing.T) {
	testkit.NeedTool(t, "tar")
	one, two := filepath.Join(t.TempDir(), "one.tar.gz"), filepath.Join(t.TempDir(), "one.tar.gz")

	file, err := gitinfo.Archive(tree(t, 0o644), kept, one, commitTime)
	require.NoError(t, err)
	again, err := gitinfo.Archive(tree(t, 0o600), kept, two, commitTime)
	require.NoError(t, err)

	require.Equal(t, file, again)
	data, err := os.ReadFile(one)
	require.NoError(t, err)
	sum := sha256.Sum256(data)
	require.Equal(t, &gitinfo.File{
		Checksum: hex.EncodeToString(sum[:]), ChecksumType: "sha256", Format: "tar.gz",
		Name: "one.tar.gz", Size: strconv.Itoa(len(data)),
	}, file)
	info, err := os.Stat(one)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o444), info.Mode())
	listing, err := tool.Host{}.Run(t.Context(), tool.Cmd{
		Name: "tar", Args: []string{"--utc", "--full-time", "--numeric-owner", "--quoting-style=literal", "-tvzf", one},
	})
	require.NoError(t, err)
	testkit.Golden(t, "archive.txt", listing)
}

func TestArchiveFailsWithoutATree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.tar.gz")
	_, err := gitinfo.Archive(filepath.Join(t.TempDir(), "absent"), kept, path, commitTime)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoFileExists(t, path)
}

func TestWriteRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coreos-assembler-config-git.json")
	info := gitinfo.Info{Commit: "0123456789abcdef0123456789abcdef01234567", Origin: "https://example.org/?a=1&b=2", Branch: "stable"}
	file := &gitinfo.File{Checksum: "abc", ChecksumType: "sha256", Format: "tar.gz", Name: "coreos-assembler-config.tar.gz", Size: "12"}

	require.NoError(t, gitinfo.WriteRecord(path, info, file, commitTime))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	testkit.Golden(t, "config-git.json", got)

	require.NoError(t, gitinfo.WriteRecord(path, info, nil, commitTime))
	got, err = os.ReadFile(path)
	require.NoError(t, err)
	require.NotContains(t, string(got), `"file"`)
}

func TestOnlyWhatGitKeepsIsTracked(t *testing.T) {
	dir, _ := repo(t)
	write(t, filepath.Join(dir, " blank\nline"), "x")
	write(t, filepath.Join(dir, "sub/deep"), "x")
	git(t, dir, "add", "--all")
	write(t, filepath.Join(dir, ".env"), "PASSWORD=x")

	list, err := gitinfo.Tracked(t.Context(), tool.Host{}, dir)

	require.NoError(t, err)
	require.Contains(t, list, " blank\nline")
	require.Contains(t, list, "sub/deep")
	require.NotContains(t, list, ".env")
	_, err = gitinfo.Tracked(t.Context(), tool.Host{}, t.TempDir())
	require.ErrorIs(t, err, gitinfo.ErrNoRepo)
}
