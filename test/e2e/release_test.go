package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/format/streammeta"
	"github.com/nestos/nosa-actions/internal/handoff"
	"github.com/nestos/nosa-actions/internal/release/publish/githubtest"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// release runs the release workflow on a pushed tag, against a GitHub that keeps its
// rules and every byte's checksum, with the build of an earlier run. The jobs before
// the release are run too, but in place of the programs that compose and boot for
// minutes stand some that hand on the packs that these made; the programs of the plan
// and of the release are the real ones. Then the workflow is run once more.
func release(t *testing.T, runner act, packs string) {
	host, err := arch.Host()
	require.NoError(t, err)
	version := packedVersion(t, host, packs)
	tag := "nestos-mini-" + version
	server := githubtest.New(t, githubtest.Options{Owner: "nestos", Repo: "nosa-actions", Tags: []string{tag}, Immutable: true})
	runner.artifacts = t.TempDir()
	run := job{
		workflow: ".github/workflows/release.yml", event: "push",
		payload: map[string]any{
			"ref":        "refs/tags/" + tag,
			"repository": map[string]any{"full_name": "nestos/nosa-actions", "default_branch": "main", "fork": true},
		},
		env: map[string]string{
			// The server's own address stays: clients of artifacts take no other.
			"GITHUB_API_URL":   server.URL,
			"NOSA_ACTIONS_BIN": releasePrograms(t, runner, host, packs),
		},
		token: githubtest.Token,
	}

	result := runner.run(t, run)

	for name, n := range map[string]int{"matrix": 1, "fetch": 1, "build": 1, "buildextend": 1, "run-test": 2, "release": 1} {
		require.Equal(t, "success", result.jobs[name], "job %s", name)
		require.Equal(t, n, result.legs[name], "job %s", name)
	}
	fmt.Printf("%-12s %s %8s\n", "release", result.jobs["release"], result.times["release"].Round(time.Second))
	first := checkRelease(t, server, tag, version, host)

	server.Forget()
	runner.artifacts = t.TempDir()
	runner.run(t, run)

	for _, call := range server.Calls() {
		require.Equal(t, "GET", call.Method, "%s: a rerun has nothing to do", call.Operation)
	}
	require.NotEmpty(t, server.Calls())
	require.Equal(t, first, checkRelease(t, server, tag, version, host))
}

// checkRelease looks at the one release that the server has: each asset is what
// SHA256SUMS says, as the server got it, and the metadata names assets that are there.
func checkRelease(t *testing.T, server *githubtest.Server, tag, version string, host arch.Arch) githubtest.Release {
	t.Helper()
	all := server.Releases()
	require.Len(t, all, 1)
	r := all[0]
	require.Equal(t, tag, r.Tag)
	require.False(t, r.Draft)
	require.True(t, r.Immutable)
	assets := map[string]githubtest.Asset{}
	for _, a := range r.Assets {
		assets[a.Name] = a
	}

	sums := 0
	for lines := bufio.NewScanner(bytes.NewReader(assets["SHA256SUMS"].Content)); lines.Scan(); sums++ {
		sum, name, ok := strings.Cut(lines.Text(), "  ")
		require.True(t, ok, lines.Text())
		require.Equal(t, sum, assets[name].SHA256, name)
	}
	require.Equal(t, len(assets)-1, sums, "all but itself")

	testkit.FitsSchema(t, "../../internal/format/streammeta/testdata/release.schema.json", assets["release.json"].Content)
	testkit.FitsSchema(t, "../../internal/format/streammeta/testdata/stream.schema.json", assets["stream.json"].Content)
	var meta streammeta.Release
	require.NoError(t, json.Unmarshal(assets["release.json"].Content, &meta))
	require.Equal(t, version, meta.Release)
	base := "https://github.com/nestos/nosa-actions/releases/download/" + tag + "/"
	disk := meta.Architectures[host.RPM].Media["qemu"].Artifacts["qcow2.gz"].Disk
	require.NotNil(t, disk)
	name, ok := strings.CutPrefix(disk.Location, base)
	require.True(t, ok, disk.Location)
	require.Equal(t, disk.SHA256, assets[name].SHA256)
	require.Greater(t, assets[name].Size, int64(10<<20))

	require.Contains(t, r.Name, version)
	for _, want := range []string{name, version, meta.Architectures[host.RPM].Commit, "SHA256SUMS"} {
		require.Contains(t, r.Body, want, "the notes")
	}
	repo := workdir.RepoArchiveName("nestos-mini", version, host.RPM)
	require.Greater(t, assets[repo].Size, int64(10<<20), repo)
	return r
}

// packedVersion is the version of the build in the packs.
func packedVersion(t *testing.T, host arch.Arch, packs string) string {
	t.Helper()
	work := t.TempDir()
	_, err := handoff.UnpackFile(t.Context(), filepath.Join(packs, "nosa-build-"+host.RPM+".tar.zst"), work, handoff.UnpackOptions{Arch: host.RPM})
	require.NoError(t, err)
	dir, err := workdir.Open(work, host)
	require.NoError(t, err)
	b, err := dir.Latest()
	require.NoError(t, err)
	m, err := b.Meta()
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(work))
	return m.OSTreeVersion
}

// releasePrograms makes the directory of the programs that the jobs run.
func releasePrograms(t *testing.T, runner act, host arch.Arch, packs string) string {
	t.Helper()
	dir := t.TempDir()
	do(t, runner.root, "go", "build", "-o", dir+"/", "./actions/matrix", "./actions/release", "./cmd/nosa")
	// Nobody unpacks what fetch hands on.
	require.NoError(t, os.WriteFile(filepath.Join(packs, "nosa-cache-"+host.RPM+".tar.zst"), []byte("of no use\n"), 0o644))
	for action, artifact := range map[string]string{
		"fetch": "nosa-cache-" + host.RPM, "build": "nosa-build-" + host.RPM, "buildextend": "nosa-image-qemu-" + host.RPM, "plan": "", "base": "", "run-test": "",
	} {
		text := "#!/bin/sh\n"
		if artifact != "" {
			text += fmt.Sprintf("printf 'artifact=%s\\npack=%s\\n' >>\"$GITHUB_OUTPUT\"\n", artifact, filepath.Join(packs, artifact+".tar.zst"))
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, action), []byte(text), 0o755))
	}
	return dir
}

// packsOf takes the packs out of the artifacts of a run.
func packsOf(t *testing.T, server string) string {
	t.Helper()
	host, err := arch.Host()
	require.NoError(t, err)
	dir := t.TempDir()
	for _, artifact := range []string{"nosa-build-" + host.RPM, "nosa-image-qemu-" + host.RPM} {
		pack := artifact + ".tar.zst"
		unzip(t, filepath.Join(server, "1", artifact, artifact+".zip"), pack, filepath.Join(dir, pack))
	}
	return dir
}
