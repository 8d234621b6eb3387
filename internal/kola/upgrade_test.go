package kola

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// The judge is a real client: it pulls over HTTP what it lacks.
func TestADownloadIsAsPredicted(t *testing.T) {
	testkit.NeedTool(t, "ostree")
	dir := t.TempDir()
	repo, client := filepath.Join(dir, "repo"), filepath.Join(dir, "client")
	ostree := func(args ...string) string {
		out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "ostree", Args: args})
		require.NoError(t, err)
		return strings.TrimSpace(string(out))
	}
	ostree("init", "--repo="+repo, "--mode=archive")
	tree := filepath.Join(dir, "tree")
	commit := func(from, to int) string {
		for i := from; i < to; i++ {
			path := filepath.Join(tree, fmt.Sprint(i%7), fmt.Sprint(i))
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(t, os.WriteFile(path, []byte(strings.Repeat(fmt.Sprint(i, "x"), 500*i)), 0o644))
		}
		return ostree("commit", "--repo="+repo, "--branch=a/b", tree)
	}
	from := commit(0, 40)
	ostree("init", "--repo="+client, "--mode=bare-user")
	ostree("pull-local", "--repo="+client, repo, from)
	to := commit(35, 60)
	ostree("summary", "--repo="+repo, "--update")

	d, err := Predict(repo, "a/b", from, to)
	require.NoError(t, err)
	server, err := serve(repo)
	require.NoError(t, err)
	defer server.Close()
	ostree("remote", "add", "--repo="+client, "--no-gpg-verify", "o", strings.Replace(server.URL, "10.0.2.2", "127.0.0.1", 1))
	ostree("pull", "--repo="+client, "o", "a/b")
	d.Measured = server.sent.Load()

	require.NoError(t, d.check())
	require.Equal(t, from, d.From)
	require.Greater(t, d.Objects, 20)
	d.Measured += d.Measured / 10
	require.ErrorContains(t, d.check(), "more than 5% apart")

	all, err := Predict(repo, "a/b", "", to)
	require.NoError(t, err)
	require.Greater(t, all.Predicted, d.Predicted, "who has nothing fetches all")
	all.Measured = 1
	require.NoError(t, all.check(), "there is nothing to hold it against")
}

func TestPowerCutsAreSpreadAndRepeatable(t *testing.T) {
	const took = 100 * time.Second
	first := cuts(20, took, 7)
	require.Equal(t, first, cuts(20, took, 7))
	require.NotEqual(t, first, cuts(20, took, 8))
	for i, c := range first {
		require.Equal(t, i+1, c.number)
		part := (took + took/10) / 20
		require.GreaterOrEqual(t, c.after, time.Duration(i)*part)
		require.LessOrEqual(t, c.after, time.Duration(i+1)*part)
	}
}

func TestTheRunningCommitIsRead(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	a := answer{Output: said("/sysroot/ostree/deploy/nestos/deploy/" + sum + ".0\nnestos " + sum + ".0\n")}
	require.Equal(t, sum, runningCommit(a))
	require.Empty(t, runningCommit(answer{Output: said("/usr")}))
}

func TestWhatABusyMachineSpoilsIsTriedOnceMore(t *testing.T) {
	for fails, want := range map[int]error{0: nil, 1: nil, 2: errStart, 3: errStart} {
		runs := 0
		got, err := again(t.Context(), func() (int, error) {
			if runs++; runs <= fails {
				return 0, errStart
			}
			return runs, nil
		})
		require.Equal(t, want, err)
		require.LessOrEqual(t, runs, startTrials)
		if err == nil {
			require.Equal(t, fails+1, got)
		}
	}
}
