package disk_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/image/disk"
	"github.com/nestos/nosa-actions/internal/tool"
)

// bare is a bare repository with the commit of another.
func bare(t *testing.T, repo, checksum string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bare")
	host(t, "ostree", "init", "--repo="+dir, "--mode=bare")
	host(t, "ostree", "pull-local", "--repo="+dir, repo, checksum)
	return dir
}

// describe lists what is in a root, but for times and for how often files are
// linked.
func describe(t *testing.T, root string) string {
	t.Helper()
	return host(t, "sh", "-c", `cd "$1" && find . ! -path ./ostree/repo/.lock ! -path "./ostree/repo/tmp/*" -printf "%P %y %m %U:%G %l\n" | sort && cat ostree/repo/config`, "sh", root)
}

// Whichever way a commit comes into the root, the root is the same.
func TestARootIsTheSameFromARepositoryOfAnyMode(t *testing.T) {
	in := input(t, image.Metal, "size: 2\nrootfs: ext4\n")
	roots, links := map[string]string{}, map[string]uint64{}
	linked, full := bare(t, in.Repo, in.Commit), bare(t, in.Repo, in.Commit)
	fillLinks(t, full)
	for name, repo := range map[string]string{"archive": in.Repo, "bare": linked, "bare, with a file of many names": full} {
		source := in.Source
		source.Repo = repo
		source.Scratch = filepath.Join(t.TempDir(), "scratch")
		s, err := disk.Deploy(t.Context(), tool.Host{}, nil, source, image.Metal)
		require.NoError(t, err, name)
		roots[name] = describe(t, s.Path)
		host(t, "ostree", "fsck", "--quiet", "--repo="+filepath.Join(s.Path, "ostree/repo"))
		var stat unix.Stat_t
		require.NoError(t, unix.Stat(filepath.Join(s.Deployment, "usr/lib/os-release"), &stat))
		links[name] = uint64(stat.Nlink)
		require.NoError(t, s.Close())
	}
	require.Equal(t, roots["archive"], roots["bare"])
	require.Equal(t, roots["archive"], roots["bare, with a file of many names"])
	require.NotContains(t, roots["bare"], "parent")
	require.Equal(t, links["archive"]+1, links["bare"], "the object is that of the other repository")
}

// fillLinks gives an object of the repository all the names that it can have.
func fillLinks(t *testing.T, repo string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(repo, "objects/*/*.file"))
	require.NoError(t, err)
	dir := filepath.Join(filepath.Dir(repo), "names")
	require.NoError(t, os.Mkdir(dir, 0o755))
	for i := range 70_000 {
		err := os.Link(found[0], filepath.Join(dir, fmt.Sprint(i)))
		if errors.Is(err, unix.EMLINK) {
			return
		}
		require.NoError(t, err)
	}
	t.Log("the file system of the test has no such limit: " + strings.TrimSpace(host(t, "stat", "-f", "-c", "%T", dir)))
}
