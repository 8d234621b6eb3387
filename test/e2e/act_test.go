package e2e

import (
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

	"github.com/nestos/nosa-actions/internal/tool"
)

// outcome is what the runner said about its jobs: of a matrix the worst result, and
// the number of jobs in it.
type outcome struct {
	jobs  map[string]string
	legs  map[string]int
	times map[string]time.Duration
}

// record is a line of the runner's log.
type record struct {
	Job       string    `json:"job"`
	ID        string    `json:"jobID"`
	JobResult string    `json:"jobResult"`
	Msg       string    `json:"msg"`
	Time      time.Time `json:"time"`
	Raw       bool      `json:"raw_output"`
}

// read follows the runner's log, passing on what a person wants to see.
func read(log io.Reader, out io.Writer) outcome {
	o := outcome{jobs: map[string]string{}, legs: map[string]int{}, times: map[string]time.Duration{}}
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
		if first[r.ID].IsZero() {
			first[r.ID] = r.Time
		}
		if r.JobResult != "" {
			o.legs[r.ID]++
			if o.jobs[r.ID] != "failure" {
				o.jobs[r.ID] = r.JobResult
			}
			o.times[r.ID] = r.Time.Sub(first[r.ID])
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
	cache     string // cache server
}

// job is what the runner is asked to do.
type job struct {
	workflow string // of this repository
	event    string
	payload  map[string]any // what GitHub says about the event
	source   string         // what is checked out where no repository is named; empty is this repository
	env      map[string]string
	token    string // of the job
}

// run runs a workflow, which must succeed.
func (a act) run(t *testing.T, j job) outcome {
	t.Helper()
	payload, err := json.Marshal(j.payload)
	require.NoError(t, err)
	if j.source == "" {
		j.source = a.root
	}
	event := filepath.Join(t.TempDir(), "event.json")
	require.NoError(t, os.WriteFile(event, payload, 0o600))
	args := []string{
		j.event, "--json", "--workflows", filepath.Join(a.root, j.workflow), "--eventpath", event,
		"--platform", "ubuntu-24.04=-self-hosted", "--concurrent-jobs", "1", "--action-offline-mode",
		"--cache-server-addr", "127.0.0.1", "--cache-server-path", a.cache, "--action-cache-path", filepath.Join(a.state, "act-actions"),
		"--artifact-server-addr", "127.0.0.1", "--artifact-server-path", a.artifacts, "--artifact-server-port", freePort(t),
		// The server loses bytes of uploads that overlap.
		"--env", "ACTIONS_ARTIFACT_UPLOAD_CONCURRENCY=1",
		"--env", "GITHUB_REPOSITORY=nestos/nosa-actions",
		"--env", "NOSA_E2E_SUITE=" + a.root,
		"--env", "NOSA_E2E_SOURCE=" + j.source,
		"--env", "NOSA_POOL=" + pool(a.root),
		"--local-repository", "nestos/nosa-actions@v1=" + a.root,
	}
	if j.source != a.root {
		args = append(args, "--no-skip-checkout") // the runner would copy this repository
	}
	for name, value := range j.env {
		args = append(args, "--env", name+"="+value)
	}
	if j.token != "" {
		args = append(args, "--secret", "GITHUB_TOKEN="+j.token)
	}
	for _, name := range []string{"checkout", "setup-go", "upload-artifact", "download-artifact", "cache", "upload-pages-artifact", "attest-build-provenance"} {
		for _, ref := range pins(t, a.root, "actions/"+name) {
			args = append(args, "--local-repository", fmt.Sprintf("actions/%s@%s=%s", name, ref, filepath.Join(a.actions, name)))
		}
	}
	log, err := os.Create(filepath.Join(a.state, filepath.Base(t.Name())+".log"))
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
