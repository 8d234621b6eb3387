// Package e2e runs the workflows with a real runner.
package e2e

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/handoff"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// TestThePullRequestWorkflow runs the four jobs on a pull request of this
// repository: packages are made, resolved, built into a commit and an image,
// and the image is booted and tested, each in a job of its own that has nothing
// but the artifacts of those before.
//
// The runner is act in host mode. Where it is laxer than GitHub, the contract
// tests of actions/ look closer.
func TestThePullRequestWorkflow(t *testing.T) {
	if os.Getenv("NOSA_E2E") == "" {
		t.Skip("takes minutes and downloads a runner; make e2e sets NOSA_E2E")
	}
	runner := prepare(t)

	result := runner.run(t, ".github/workflows/pull-request.yml")

	for _, job := range []string{"fetch", "build", "buildextend", "run-test"} {
		require.Equal(t, "success", result.jobs[job], "job %s", job)
		fmt.Printf("%-12s %s %8s\n", job, result.jobs[job], result.times[job].Round(time.Second))
	}
	checkArtifacts(t, runner.artifacts)
}

// checkArtifacts puts the hand-offs together as a machine that had run all
// stages, and compares the images with the digests in the build's records. The
// artifact server of the runner is known to lose bytes and not to notice.
func checkArtifacts(t *testing.T, server string) {
	t.Helper()
	host, err := arch.Host()
	require.NoError(t, err)
	work := t.TempDir()
	for _, name := range []string{"cache", "build", "image-qemu"} {
		artifact := fmt.Sprintf("nosa-%s-%s", name, host)
		pack := filepath.Join(t.TempDir(), artifact)
		unzip(t, filepath.Join(server, "1", artifact, artifact+".zip"), artifact+".tar.zst", pack)
		_, err := handoff.UnpackFile(t.Context(), pack, work, handoff.UnpackOptions{Arch: host.RPM})
		require.NoError(t, err, artifact)
	}
	dir, err := workdir.Open(work, host)
	require.NoError(t, err)
	b, err := dir.Latest()
	require.NoError(t, err)
	for _, kind := range []string{"ostree", "qemu"} {
		want, path, err := b.Image(kind)
		require.NoError(t, err)
		got, err := workdir.DescribeImage(path)
		require.NoError(t, err)
		require.Equal(t, want.SHA256, got.SHA256, kind)
	}
	logs := fmt.Sprintf("nosa-test-%s", host)
	report := filepath.Join(t.TempDir(), "report.json")
	unzip(t, filepath.Join(server, "1", logs, logs+".zip"), "reports/report.json", report)
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

// outcome is what the runner said about its jobs.
type outcome struct {
	jobs  map[string]string
	times map[string]time.Duration
}

// record is a line of the runner's log.
type record struct {
	Job       string    `json:"job"`
	JobResult string    `json:"jobResult"`
	Msg       string    `json:"msg"`
	Time      time.Time `json:"time"`
	Raw       bool      `json:"raw_output"`
}

// read follows the runner's log, passing on what a person wants to see.
func read(log io.Reader, out io.Writer) outcome {
	o := outcome{jobs: map[string]string{}, times: map[string]time.Duration{}}
	first := map[string]time.Time{}
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var r record
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			fmt.Fprintln(out, lines.Text())
			continue
		}
		fmt.Fprintf(out, "%s [%s] %s\n", r.Time.Format(time.TimeOnly), r.Job, strings.TrimRight(r.Msg, "\n"))
		job := strings.TrimSpace(r.Job[strings.LastIndex(r.Job, "/")+1:]) // padded to line up
		if first[job].IsZero() {
			first[job] = r.Time
		}
		if r.JobResult != "" {
			o.jobs[job] = r.JobResult
			o.times[job] = r.Time.Sub(first[job])
		}
	}
	return o
}

// act is the runner, with everything it needs prepared.
type act struct {
	root      string // of the repository
	state     string // what is kept between runs
	binary    string
	actions   string // stand-ins
	artifacts string // artifact server of this run
}

func (a act) run(t *testing.T, workflow string) outcome {
	t.Helper()
	a.writeEvent(t)
	args := []string{
		"pull_request", "--json", "--workflows", filepath.Join(a.root, workflow), "--eventpath", filepath.Join(a.artifacts, "event.json"),
		"--platform", "ubuntu-24.04=-self-hosted", "--concurrent-jobs", "1", "--action-offline-mode",
		"--cache-server-addr", "127.0.0.1", "--cache-server-path", t.TempDir(), "--action-cache-path", filepath.Join(a.state, "act-actions"),
		"--artifact-server-addr", "127.0.0.1", "--artifact-server-path", a.artifacts, "--artifact-server-port", freePort(t),
		// The server loses bytes of uploads that overlap.
		"--env", "ACTIONS_ARTIFACT_UPLOAD_CONCURRENCY=1",
		"--env", "GITHUB_REPOSITORY=nestos/nosa-actions",
		"--env", "NOSA_E2E_SOURCE=" + a.root,
		"--env", "NOSA_POOL=" + pool(a.root),
	}
	for _, name := range []string{"checkout", "setup-go", "upload-artifact", "download-artifact"} {
		for _, ref := range pins(t, a.root, "actions/"+name) {
			args = append(args, "--local-repository", fmt.Sprintf("actions/%s@%s=%s", name, ref, filepath.Join(a.actions, name)))
		}
	}
	log, err := os.Create(filepath.Join(a.state, "act.log"))
	require.NoError(t, err)
	defer log.Close()
	r, w := io.Pipe()
	done := make(chan outcome, 1)
	go func() { done <- read(r, log) }()
	_, err = tool.Host{}.Run(t.Context(), tool.Cmd{
		Name: a.binary, Args: args, Dir: a.root, Stdout: w, Stderr: w, Grace: time.Minute,
		Env: []string{"ACT_DISABLE_VERSION_CHECK=1"},
	})
	w.Close()
	result := <-done
	if err != nil {
		t.Logf("the end of %s:\n%s", log.Name(), lastLines(t, log.Name(), 40))
		require.NoError(t, err, "jobs: %v", result.jobs)
	}
	return result
}

// writeEvent is what GitHub says about a pull request.
func (a act) writeEvent(t *testing.T) {
	t.Helper()
	event, err := json.Marshal(map[string]any{
		"action": "opened", "number": 1,
		"repository":   map[string]any{"full_name": "nestos/nosa-actions", "default_branch": "main"},
		"pull_request": map[string]any{"number": 1, "head": map[string]any{"ref": "change"}, "base": map[string]any{"ref": "main"}},
	})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(a.artifacts, "event.json"), event, 0o600))
}

// pool is the offline package source, shared with make demo.
func pool(root string) string {
	if path := os.Getenv("NOSA_POOL"); path != "" {
		return path
	}
	return filepath.Join(root, ".cache", "pool")
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

func lastLines(t *testing.T, path string, n int) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-n):], []byte("\n")))
}
