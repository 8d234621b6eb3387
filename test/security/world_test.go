// Package security_test keeps promises of docs/security.md that concern all
// actions together: their programs are run as a runner runs them.
package security_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit/actiontest"
	"github.com/nestos/nosa-actions/internal/tool"
)

// TestMain lets the test binary stand in for nosa.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "nosa" {
		actiontest.Nosa()
	}
	os.Exit(m.Run())
}

// pipeline are the actions of a pipeline in their order.
var pipeline = []string{"actions/fetch", "actions/build", "actions/buildextend", "actions/run-test"}

// every finds all actions of this repository.
func every(t testing.TB) []string {
	t.Helper()
	found, err := filepath.Glob("../../actions/*/action.yml")
	require.NoError(t, err)
	require.Greater(t, len(found), len(pipeline))
	names := []string{"."}
	for _, path := range found {
		names = append(names, strings.TrimPrefix(filepath.Dir(path), "../../"))
	}
	return names
}

func metadata(t testing.TB, action string) actiontest.Metadata {
	t.Helper()
	return actiontest.Read(t, filepath.Join("../..", action, "action.yml"))
}

// writeConfig makes the least that the actions take for a config.
func writeConfig(t testing.TB, dir string) {
	t.Helper()
	for _, name := range []string{"manifest.yaml", "image.yaml"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
}

// A workflow has a job for each action; what one packs the later ones download.
type workflow struct {
	*actiontest.Runner
	artifacts string // directory
}

func newWorkflow(t testing.TB, programs string) *workflow {
	t.Helper()
	w := &workflow{Runner: actiontest.NewRunner(t, programs, t.TempDir())}
	w.artifacts = filepath.Join(t.TempDir(), "artifacts")
	require.NoError(t, os.MkdirAll(w.artifacts, 0o755))
	w.Env["GITHUB_REPOSITORY"] = "nestos/demo"
	w.Context["github.actor"], w.Context["github.token"] = "somebody", "ghs_0123456789"
	writeConfig(t, w.Workspace)
	return w
}

// job runs an action on a machine of its own.
func (w *workflow) job(t testing.TB, action string, inputs map[string]string) actiontest.Result {
	t.Helper()
	w.Temp = t.TempDir()
	link(t, w.artifacts, filepath.Join(w.Temp, "nosa-in"))
	got := w.Run(t, action, inputs)
	if made := filepath.Join(w.Temp, "nosa-out"); action != "." {
		link(t, made, w.artifacts)
	}
	return got
}

// link gives the files of a directory, if there is one, names in another.
func link(t testing.TB, from, to string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(from, "*"))
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(to, 0o755))
	for _, file := range files {
		if err := os.Link(file, filepath.Join(to, filepath.Base(file))); !errors.Is(err, fs.ErrExist) {
			require.NoError(t, err)
		}
	}
}

// artifacts are what the jobs of a pipeline hand on.
func artifacts(t testing.TB, programs string) string {
	t.Helper()
	w := newWorkflow(t, programs)
	for _, action := range pipeline {
		got := w.job(t, action, nil)
		require.Zero(t, got.Code, got.Log)
	}
	return w.artifacts
}

func host(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: name, Args: args})
	require.NoError(t, err)
	return string(out)
}
