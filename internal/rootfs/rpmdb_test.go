package rootfs

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// installProgram puts a program of this machine, with its libraries, into a tree.
func installProgram(t *testing.T, root, program string) {
	t.Helper()
	testkit.NeedTool(t, "ldd")
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "ldd", Args: []string{program}})
	require.NoError(t, err)
	paths := append(regexp.MustCompile(`/\S+`).FindAllString(string(out), -1), program)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		put(t, root, path, string(data))
		require.NoError(t, os.Chmod(filepath.Join(root, path), 0o755))
	}
}

func TestTheTreesOwnRpmWritesTheDatabase(t *testing.T) {
	testkit.NeedTool(t, "rpm", "rpmdb", "bwrap")
	testkit.NeedRoot(t)
	tree := &Tree{Root: filepath.Join(t.TempDir(), "root"), Run: tool.Host{}, Epoch: time.Unix(1700000000, 0)}
	dir := t.TempDir()
	require.NoError(t, tree.Unpack(t.Context(), []string{
		testkit.WriteRPM(t, dir, testkit.RPM{Name: "b", Requires: []string{"a"}}),
		testkit.WriteRPM(t, dir, testkit.RPM{Name: "a", Version: "2"}),
	}, UnpackOptions{}))
	before, err := tree.Packages(t.Context())
	require.NoError(t, err)
	require.Len(t, before, 2)
	scratch := t.TempDir()

	require.NoError(t, tree.RewriteDatabase(t.Context(), scratch), "without rpm in the tree nothing happens")

	installProgram(t, tree.Root, "/usr/bin/rpmdb")
	macros, err := os.ReadFile("/usr/lib/rpm/macros")
	require.NoError(t, err)
	put(t, tree.Root, "usr/lib/rpm/macros", string(macros))
	put(t, tree.Root, "usr/lib/rpm/rpmrc", "")
	database := filepath.Join(tree.Root, DBPath, "rpmdb.sqlite")
	old, err := os.Stat(database)
	require.NoError(t, err)
	require.NoError(t, tree.RewriteDatabase(t.Context(), scratch))

	now, err := os.Stat(database)
	require.NoError(t, err)
	require.False(t, os.SameFile(old, now))
	require.NoDirExists(t, filepath.Join(tree.Root, DBPath+".new"))
	after, err := tree.Packages(t.Context())
	require.NoError(t, err)
	require.Equal(t, before, after)
	entries, err := os.ReadDir(scratch)
	require.NoError(t, err)
	require.Empty(t, entries)
}
