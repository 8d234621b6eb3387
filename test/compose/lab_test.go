// Package compose_test composes small trees with nosa, one or a few keys of the
// treefile at a time, and looks at the committed tree: not at what nosa says of
// itself.
package compose_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// shared is made once for all tests: nosa itself, a package repository and a
// work directory with its packages fetched, which tests copy.
var shared struct {
	once                         sync.Once
	dir, nosa, yumrepos, fetched string
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.dir != "" {
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

func prepareShared(t *testing.T) {
	testkit.NeedRoot(t)
	testkit.NeedTool(t, "dnf", "rpm", "ostree", "bwrap", "createrepo_c", "/bin/busybox")
	shared.once.Do(func() {
		dir, err := os.MkdirTemp("", "compose-test-*")
		require.NoError(t, err)
		shared.dir, shared.nosa = dir, filepath.Join(dir, "nosa")
		shared.yumrepos, shared.fetched = filepath.Join(dir, "yumrepos"), filepath.Join(dir, "fetched")
		host(t, "go", "build", "-o", shared.nosa, "../../cmd/nosa")
		pool := filepath.Join(dir, "pool")
		require.NoError(t, os.MkdirAll(pool, 0o755))
		for _, p := range packages(t) {
			testkit.WriteRPM(t, pool, p)
		}
		testkit.IndexRepository(t, pool)
		write(t, shared.yumrepos, "pool.repo", "[pool]\nname=pool\nbaseurl=file://"+pool+"\ngpgcheck=0\n")
		l := &lab{t: t, dir: shared.fetched, config: filepath.Join(dir, "config")}
		l.manifest("")
		l.init()
		l.ok("fetch")
	})
}

// lab is a work directory with a config of its own.
type lab struct {
	t           *testing.T
	dir, config string
	yumrepos    string // empty: the shared ones
}

// newLab makes a lab whose packages are fetched. Its config is plain plus what
// the test writes.
func newLab(t *testing.T) *lab {
	t.Helper()
	prepareShared(t)
	root := t.TempDir()
	l := &lab{t: t, dir: filepath.Join(root, "work"), config: filepath.Join(root, "config")}
	l.manifest("")
	l.init()
	host(t, "cp", "-a", "--reflink=auto", filepath.Join(shared.fetched, "cache"), l.dir)
	return l
}

// plain is the treefile to which tests add keys: the least that composes
// quickly.
const plain = `ref: test/${basearch}/os
rojig: {name: os, summary: A test, license: MIT}
automatic-version-prefix: "1"
releasever: "12"
packages: [base, app, linux]
recommends: false
`

// quick leaves out kernel, labels and checks.
const quick = "container: true\n"

func (l *lab) init() {
	l.t.Helper()
	require.NoError(l.t, os.MkdirAll(l.dir, 0o755))
	yumrepos := l.yumrepos
	if yumrepos == "" {
		yumrepos = shared.yumrepos
	}
	l.ok("init", "--transient", "--yumrepos", yumrepos, l.config)
}

// manifest makes the config anew: plain and keys. A test that has files for the
// config writes them before.
func (l *lab) manifest(keys string) {
	l.t.Helper()
	write(l.t, l.config, "manifest.yaml", plain+keys)
	write(l.t, l.config, "image.yaml", "size: 8\n")
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

func host(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: name, Args: args})
	require.NoError(t, err)
	return string(out)
}

func (l *lab) run(args ...string) (string, error) {
	var said strings.Builder
	_, err := tool.Host{}.Run(l.t.Context(), tool.Cmd{
		Name: shared.nosa, Args: args, Dir: l.dir, Stdout: &said, Stderr: &said,
		Env: []string{"SOURCE_DATE_EPOCH=1700000000"},
	})
	return said.String(), err
}

func (l *lab) ok(args ...string) string {
	l.t.Helper()
	said, err := l.run(args...)
	require.NoError(l.t, err, said)
	return said
}

// compose builds the config with the keys and returns the committed tree.
func (l *lab) compose(keys string) *tree {
	l.t.Helper()
	l.manifest(keys)
	said := l.ok("build", "container")
	return l.tree(said)
}

// refuses expects the compose of the keys to fail, and to say why.
func (l *lab) refuses(keys string, why ...string) {
	l.t.Helper()
	l.manifest(keys)
	said, err := l.run("build", "container")
	require.Error(l.t, err, said)
	for _, words := range why {
		require.Contains(l.t, said, words)
	}
	require.NotContains(l.t, said, "goroutine", "no panic reaches a user")
}

// tree is a committed tree.
type tree struct {
	t            *testing.T
	said         string
	repo, commit string
	entries      map[string]entry // by absolute path
	meta         map[string]any   // commitmeta.json
}

// entry is what ostree ls says of a path: "d", "-" or "l", octal permissions,
// owner, and where a link leads.
type entry struct {
	Kind, Mode, Owner, Target string
}

func (l *lab) tree(said string) *tree {
	l.t.Helper()
	build, err := filepath.EvalSymlinks(filepath.Join(l.dir, "builds/latest"))
	require.NoError(l.t, err)
	metas, err := filepath.Glob(filepath.Join(build, "*/meta.json"))
	require.NoError(l.t, err)
	require.Len(l.t, metas, 1)
	var meta struct {
		Commit string `json:"ostree-commit"`
	}
	readJSON(l.t, metas[0], &meta)
	c := &tree{t: l.t, said: said, repo: filepath.Join(l.dir, "tmp/repo"), commit: meta.Commit, entries: map[string]entry{}}
	readJSON(l.t, filepath.Join(filepath.Dir(metas[0]), "commitmeta.json"), &c.meta)
	for line := range strings.Lines(host(l.t, "ostree", "ls", "--repo="+c.repo, "-R", c.commit)) {
		f := strings.Fields(line)
		e := entry{Kind: f[0][:1], Mode: f[0][1:], Owner: f[1] + ":" + f[2]}
		path, target, _ := strings.Cut(strings.Join(f[4:], " "), " -> ")
		e.Target = target
		c.entries[path] = e
	}
	return c
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, into))
}

func (c *tree) has(paths ...string) {
	c.t.Helper()
	for _, path := range paths {
		if _, ok := c.entries[path]; !ok {
			c.t.Errorf("the tree lacks %s", path)
		}
	}
}

func (c *tree) lacks(paths ...string) {
	c.t.Helper()
	for _, path := range paths {
		if e, ok := c.entries[path]; ok {
			c.t.Errorf("the tree has %s: %v", path, e)
		}
	}
}

// link expects a symbolic link with exactly this text.
func (c *tree) link(path, target string) {
	c.t.Helper()
	require.Equal(c.t, entry{Kind: "l", Mode: "00777", Owner: "0:0", Target: target}, c.entries[path], path)
}

// mode expects a file or directory with these permissions, four octal digits.
func (c *tree) mode(path, kind, mode string) {
	c.t.Helper()
	e := c.entries[path]
	require.Equal(c.t, kind+"0"+mode, e.Kind+e.Mode, path)
}

func (c *tree) cat(path string) string {
	c.t.Helper()
	return host(c.t, "ostree", "cat", "--repo="+c.repo, c.commit, path)
}

// below lists the paths directly in a directory.
func (c *tree) below(dir string) []string {
	var names []string
	for path := range c.entries {
		if filepath.Dir(path) == dir && path != "/" {
			names = append(names, filepath.Base(path))
		}
	}
	return names
}

// script is a postprocess entry that runs the lines in the tree's shell.
func script(lines ...string) string {
	text := "  - |\n    #!/bin/sh\n    set -eu\n"
	for _, line := range lines {
		text += "    " + line + "\n"
	}
	return text
}

func postprocess(lines ...string) string {
	return fmt.Sprintf("postprocess:\n%s", script(lines...))
}

// sum is the checksum of a file's object: the same for the same content and mode.
func (c *tree) sum(path string) string {
	c.t.Helper()
	return strings.Fields(host(c.t, "ostree", "ls", "--repo="+c.repo, "-C", c.commit, path))[4]
}
