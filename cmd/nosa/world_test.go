package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// A world is a small operating system with its config and its package
// repository, and a work directory in which the nosa program makes builds of it.
// It has a shell and a kernel, and is composed in about a second.
type world struct {
	t                 *testing.T
	work, config, rpm string   // directories
	env               []string // of nosa
}

const worldManifest = testkit.TinyManifest

// newWorld makes the packages, the config as a git repository, and fetches.
func newWorld(t *testing.T) *world {
	w := bareWorld(t)
	w.ok("fetch")
	return w
}

func bareWorld(t *testing.T) *world {
	testkit.NeedRoot(t)
	testkit.NeedTool(t, "dnf", "rpm", "ostree", "bwrap", "git", "createrepo_c", "/bin/busybox")
	root := t.TempDir()
	w := &world{
		t: t, work: filepath.Join(root, "work"), config: filepath.Join(root, "config"), rpm: filepath.Join(root, "rpm"),
	}
	for _, dir := range []string{w.work, w.config, w.rpm} {
		require.NoError(t, os.Mkdir(dir, 0o755))
	}
	w.packages("1")
	w.file("manifest.yaml", worldManifest)
	w.file("image.yaml", "size: 2\nrootfs: ext4\n")
	w.file("platforms.yaml", "x86_64: {}\naarch64: {}\n")
	w.file("tiny.repo", "[tiny]\nname=tiny\nbaseurl=file://"+w.rpm+"\ngpgcheck=0\n")
	w.file("overlay.d/05core/usr/share/core", "core\n")
	w.git("init", "--quiet", "--initial-branch=main")
	w.commit("2025-01-14T08:00:00Z")
	w.ok("init", "--transient", w.config)
	return w
}

// packages fills the repository, with this version of the package app.
func (w *world) packages(app string) {
	testkit.TinyPackages(w.t, w.rpm, app)
	testkit.IndexRepository(w.t, w.rpm)
}

// file writes a file of the config.
func (w *world) file(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.config, name)
	require.NoError(w.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(w.t, os.WriteFile(path, []byte(text), 0o644))
}

func (w *world) git(args ...string) {
	w.t.Helper()
	args = append([]string{"-C", w.config, "-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)
	_, err := tool.Host{}.Run(w.t.Context(), tool.Cmd{Name: "git", Args: args, Env: w.env})
	require.NoError(w.t, err)
}

// commit commits all of the config at a time.
func (w *world) commit(date string) {
	w.t.Helper()
	w.env = append(w.env, "GIT_COMMITTER_DATE="+date, "GIT_AUTHOR_DATE="+date)
	w.git("add", "--all")
	w.git("commit", "--quiet", "--allow-empty", "--message=c")
}

// nosa runs the program in the work directory and returns all it said.
func (w *world) nosa(args ...string) (string, error) {
	w.t.Helper()
	var said strings.Builder
	_, err := tool.Host{}.Run(w.t.Context(), tool.Cmd{
		Name: "nosa", Args: args, Dir: w.work, Env: w.env, Stdout: &said, Stderr: &said,
	})
	return said.String(), err
}

func (w *world) ok(args ...string) string {
	w.t.Helper()
	said, err := w.nosa(args...)
	require.NoError(w.t, err, said)
	return said
}

// fails expects exit status 1 and a message.
func (w *world) fails(why string, args ...string) {
	w.t.Helper()
	said, err := w.nosa(args...)
	require.Error(w.t, err, said)
	require.Contains(w.t, said, why)
}

// build runs nosa build, without images, and returns what the newest build says
// of itself.
func (w *world) build(args ...string) *workdir.Meta {
	w.t.Helper()
	w.ok(append([]string{"build", "container"}, args...)...)
	return w.meta(w.builds()[0])
}

// builds lists the ids of builds.json, newest first.
func (w *world) builds() []string {
	w.t.Helper()
	var index workdir.Index
	w.json(filepath.Join(w.work, "builds/builds.json"), &index)
	var ids []string
	for _, e := range index.Builds {
		ids = append(ids, e.ID)
	}
	return ids
}

// path is that of a file of a build.
func (w *world) path(build, name string) string {
	w.t.Helper()
	paths, err := filepath.Glob(filepath.Join(w.work, "builds", build, "*"))
	require.NoError(w.t, err)
	require.Len(w.t, paths, 1, build)
	return filepath.Join(paths[0], name)
}

func (w *world) meta(build string) *workdir.Meta {
	w.t.Helper()
	m, err := workdir.ReadMeta(w.path(build, ""))
	require.NoError(w.t, err)
	return m
}

func (w *world) json(path string, into any) {
	w.t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(w.t, err)
	require.NoError(w.t, json.Unmarshal(text, into), path)
}

// ostree asks the work directory's repository.
func (w *world) ostree(command string, args ...string) string {
	w.t.Helper()
	out, err := tool.Host{}.Run(w.t.Context(), tool.Cmd{
		Name: "ostree", Args: append([]string{command, "--repo=" + filepath.Join(w.work, "tmp/repo")}, args...),
	})
	require.NoError(w.t, err)
	return strings.TrimSpace(string(out))
}

// ref is the commit that a ref of that repository names.
func (w *world) ref(name string) string {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.work, "tmp/repo/refs/heads", name))
	require.NoError(w.t, err)
	return strings.TrimSpace(string(text))
}

// rows are package changes as JSON.
func rows(t *testing.T, list []json.RawMessage) string {
	t.Helper()
	require.NotNil(t, list)
	text, err := json.Marshal(list)
	require.NoError(t, err)
	return string(text)
}

// appChange is the row of a change of version of the package app.
func appChange(kind int, from, to string) string {
	return fmt.Sprintf(`[["app", %d, {"PreviousPackage": ["app", "%s-1", "noarch"], "NewPackage": ["app", "%s-1", "noarch"]}]]`, kind, from, to)
}
