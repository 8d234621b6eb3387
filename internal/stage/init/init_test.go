package init

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// config makes a git repository with a config in its directory sub.
func config(t *testing.T, sub string) string {
	testkit.NeedTool(t, "git")
	dir := t.TempDir()
	for _, name := range []string{"manifest.yaml", "image.yaml", "manifest-edge.yaml", "image-edge.yaml"} {
		path := filepath.Join(dir, sub, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte("{}\n"), 0o644))
	}
	for _, args := range [][]string{
		{"init", "--quiet"}, {"add", "."},
		{"-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "-m", "config"},
	} {
		_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "git", Args: append([]string{"-C", dir}, args...)})
		require.NoError(t, err)
	}
	return dir
}

func run(t *testing.T, o Options) error {
	_, err := Run(t.Context(), tool.Host{}, nil, o)
	return err
}

func TestAPathIsLinkedAndAURLIsCloned(t *testing.T) {
	repo := config(t, "sub")
	linked, cloned := t.TempDir(), t.TempDir()

	require.NoError(t, run(t, Options{Dir: linked, Config: repo, Subdir: "sub", Variant: "edge", Transient: true}))
	target, err := os.Readlink(filepath.Join(linked, "src/config"))
	require.NoError(t, err)
	require.Equal(t, filepath.Join(repo, "sub"), target)
	require.FileExists(t, filepath.Join(linked, "tmp/nosa-transient"))
	text, err := os.ReadFile(filepath.Join(linked, "src/config.json"))
	require.NoError(t, err)
	require.Contains(t, string(text), `"edge"`)

	require.NoError(t, run(t, Options{Dir: cloned, Config: "file://" + repo, Subdir: "sub"}))
	target, err = os.Readlink(filepath.Join(cloned, "src/config"))
	require.NoError(t, err)
	require.Equal(t, "config-git/sub", target, "relative, so that the work directory can move")
	require.FileExists(t, filepath.Join(cloned, "src/config/manifest.yaml"))
	for _, dir := range []string{"cache", "builds", "tmp", "overrides/rpm", "overrides/rootfs"} {
		require.DirExists(t, filepath.Join(cloned, dir))
	}
}

func TestWhatFailsLeavesNothingForTheNextInit(t *testing.T) {
	dir, empty := t.TempDir(), t.TempDir()
	require.ErrorContains(t, run(t, Options{Dir: dir, Config: empty}), "has no readable manifest.yaml")
	require.ErrorContains(t, run(t, Options{Dir: dir, Config: "/not/there"}), "/not/there")
	require.ErrorContains(t, run(t, Options{Dir: dir, Config: config(t, ""), Variant: "other"}), "manifest-other.yaml")
	require.ErrorContains(t, run(t, Options{Dir: t.TempDir(), Config: "file:///not/there"}), "clone file:///not/there")
	require.NoError(t, run(t, Options{Dir: dir, Config: config(t, "")}))
}

func TestADirectoryInUseIsNotTakenOver(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mine"), nil, 0o644))
	err := run(t, Options{Dir: dir, Config: "file:///x"})
	require.EqualError(t, err, dir+" is not empty; use an empty directory, or --force")
}

func TestAnExistingConfigStays(t *testing.T) {
	dir, first, second := t.TempDir(), config(t, ""), config(t, "")
	require.NoError(t, run(t, Options{Dir: dir, Config: first}))
	require.NoError(t, run(t, Options{Dir: dir, Config: second}))
	target, err := os.Readlink(filepath.Join(dir, "src/config"))
	require.NoError(t, err)
	require.Equal(t, first, target)
}
