// Package e2e runs the workflows with a real runner.
package e2e

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/handoff"
	"github.com/nestos/nosa-actions/internal/report"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// TestThePullRequestWorkflow runs the workflow on a pull request of this repository:
// packages are made, resolved, built into a commit and images, and the image is booted
// and tested, each in a job of its own that has nothing but the artifacts of those
// before. A label asks for a second platform; the tests are divided among two jobs.
//
// The runner is act in host mode. docs/testing.md says where it differs from GitHub's.
func TestThePullRequestWorkflow(t *testing.T) {
	runner := prepare(t)

	result := runner.run(t, job{workflow: ".github/workflows/pull-request.yml", event: "pull_request", payload: pullRequest()})

	legs := map[string]int{"matrix": 1, "fetch": 1, "build": 1, "buildextend": 2, "run-test": 2, "report": 1}
	for name, n := range legs {
		require.Equal(t, "success", result.jobs[name], "job %s", name)
		require.Equal(t, n, result.legs[name], "job %s", name)
		fmt.Printf("%-12s %s %8s\n", name, result.jobs[name], result.times[name].Round(time.Second))
	}
	checkArtifacts(t, runner.artifacts)
	checkReport(t, runner.artifacts)
	t.Run("release", func(t *testing.T) { release(t, runner, packsOf(t, runner.artifacts)) })
}

// pullRequest is what GitHub says about one, whose labels are not all well meant.
func pullRequest() map[string]any {
	var labels []any
	for _, name := range []string{"bug", "nosa/metal", "nosa/$(touch /tmp/nosa-e2e-label)", "nosa/\"; exit 1; #", "nosa/\n::error::x"} {
		labels = append(labels, map[string]any{"name": name})
	}
	return map[string]any{
		"action": "opened", "number": 1,
		"repository":   map[string]any{"full_name": "nestos/nosa-actions", "default_branch": "main"},
		"pull_request": map[string]any{"number": 1, "head": map[string]any{"ref": "change"}, "base": map[string]any{"ref": "main"}, "labels": labels},
	}
}

// checkReport reads the report that merges the tests of both jobs.
func checkReport(t *testing.T, server string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	unzip(t, filepath.Join(server, "1", "nosa-report", "nosa-report.zip"), "report.json", file)
	in, err := os.Open(file)
	require.NoError(t, err)
	defer in.Close()
	r, err := report.ReadRun(in)
	require.NoError(t, err)
	require.NotEmpty(t, r.Build)
	require.Len(t, r.Jobs, 5)
	require.Len(t, r.Suites, 2)
	for _, s := range r.Suites {
		require.Positive(t, s.Passed, s.Name)
		require.Empty(t, s.Failed, s.Name)
	}
}

// checkArtifacts puts the hand-offs together as a machine that had run all
// stages, and compares the images with the digests in the build's records. The
// artifact server of the runner is known to lose bytes and not to notice.
func checkArtifacts(t *testing.T, server string) {
	t.Helper()
	host, err := arch.Host()
	require.NoError(t, err)
	work := t.TempDir()
	var build *handoff.Base // which packs of images may refer to
	for _, name := range []string{"cache", "build", "image-qemu", "image-metal"} {
		artifact := fmt.Sprintf("nosa-%s-%s", name, host)
		pack := filepath.Join(t.TempDir(), artifact)
		unzip(t, filepath.Join(server, "1", artifact, artifact+".zip"), artifact+".tar.zst", pack)
		receipt, err := handoff.UnpackFile(t.Context(), pack, work, handoff.UnpackOptions{Arch: host.RPM, Base: build})
		require.NoError(t, err, artifact)
		if name == "build" {
			build = receipt.Base(artifact, work)
		}
	}
	dir, err := workdir.Open(work, host)
	require.NoError(t, err)
	b, err := dir.Latest()
	require.NoError(t, err)
	for _, kind := range []string{"ostree", "qemu", "metal"} {
		want, path, err := b.Image(kind)
		require.NoError(t, err)
		got, err := workdir.DescribeImage(path)
		require.NoError(t, err)
		require.Equal(t, want.SHA256, got.SHA256, kind)
	}
}

func unzip(t *testing.T, archive, member, to string) {
	t.Helper()
	r, err := zip.OpenReader(archive)
	require.NoError(t, err)
	defer r.Close()
	in, err := r.Open(member)
	require.NoError(t, err, "%s in %s", member, archive)
	defer in.Close()
	out, err := os.Create(to)
	require.NoError(t, err)
	_, err = io.Copy(out, in)
	require.NoError(t, err)
	require.NoError(t, out.Close())
}
