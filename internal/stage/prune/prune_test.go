package prune_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/stage/prune"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// builds makes a work directory with builds, the last one the newest.
func builds(t *testing.T, ids ...string) *workdir.Dir {
	t.Helper()
	d, err := workdir.Create(t.TempDir(), arch.X86_64)
	require.NoError(t, err)
	hash := strings.Repeat("0", 64)
	for _, id := range ids {
		tmp := filepath.Join(d.Tmp(), "made-"+id)
		require.NoError(t, os.Mkdir(tmp, 0o755))
		require.NoError(t, workdir.WriteMeta(tmp, &workdir.Meta{
			BuildID: id, Name: "nestos", OSTreeCommit: hash, OSTreeContentChecksum: hash, InputHash: hash,
			OSTreeVersion: id, OSTreeTimestamp: "2025-01-14T08:00:00Z",
		}))
		_, err := d.Publish(tmp, id)
		require.NoError(t, err)
	}
	return d
}

func ostree(t *testing.T, d *workdir.Dir, args ...string) string {
	t.Helper()
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{
		Name: "ostree", Args: append([]string{"--repo=" + filepath.Join(d.Tmp(), "repo")}, args...),
	})
	require.NoError(t, err)
	return string(out)
}

func TestRunRemovesTheRefOfABuildAndNoOther(t *testing.T) {
	testkit.NeedTool(t, "ostree")
	d := builds(t, "24.0", "24.0-1", "24.1")
	ostree(t, d, "init", "--mode=archive")
	for _, ref := range []string{"24.0", "24.0-1", "24.1", "nestos/x86_64/stable"} {
		ostree(t, d, "commit", "--branch="+ref, "--tree=dir="+t.TempDir())
	}

	dropped, err := prune.Run(prune.Options{Workdir: d, Builds: []string{"24.0"}})

	require.NoError(t, err)
	require.Equal(t, []string{"24.0"}, dropped)
	require.ElementsMatch(t, []string{"24.0-1", "24.1", "nestos/x86_64/stable"}, strings.Fields(ostree(t, d, "refs")))

	ostree(t, d, "refs", "--delete", "24.0-1")
	_, err = prune.Run(prune.Options{Workdir: d, KeepLast: 1})
	require.NoError(t, err, "a ref that is gone already is no fault")
}

func TestRunNeedsNoRepository(t *testing.T) {
	d := builds(t, "1", "2")
	dropped, err := prune.Run(prune.Options{Workdir: d, KeepLast: 1})
	require.NoError(t, err)
	require.Equal(t, []string{"1"}, dropped)
}

func TestRunReportsARefThatStays(t *testing.T) {
	d := builds(t, "1", "2")
	inTheWay := filepath.Join(d.Tmp(), "repo/refs/heads/1/x")
	require.NoError(t, os.MkdirAll(inTheWay, 0o755))

	dropped, err := prune.Run(prune.Options{Workdir: d, KeepLast: 1})

	require.ErrorContains(t, err, "removing the ref of build 1: ")
	require.Equal(t, []string{"1"}, dropped)
	require.NoDirExists(t, filepath.Join(d.BuildsDir(), "1"))
}

func TestRunRefusesANegativeNumber(t *testing.T) {
	_, err := prune.Run(prune.Options{Workdir: builds(t), KeepLast: -1})
	require.EqualError(t, err, "cannot keep -1 builds")
}
