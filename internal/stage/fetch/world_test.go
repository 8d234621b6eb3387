package fetch

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/rpmpack"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/configrepo"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/rpmrepo"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// world is a work directory with a config and two repositories, base and extra.
type world struct {
	t   testing.TB
	dir *workdir.Dir
	// base and extra are the URLs of the repositories.
	base, extra string
	log         bytes.Buffer
}

// packagesOf are what the repositories hold. In base, app needs lib and would
// like doc; extra has newer builds of two of them.
var packagesOf = map[string][]testkit.RPM{
	"base": {
		{Name: "app", Requires: []string{"lib >= 1"}, Recommends: []string{"doc"}},
		{Name: "lib", Version: "1"},
		{Name: "lib", Version: "2"},
		{Name: "doc"},
		{Name: "mail-a", Provides: []string{"mail-server = 3"}},
		{Name: "tool", Files: []rpmpack.RPMFile{{Name: "/usr/sbin/zipl", Mode: 0o755, Body: []byte("x")}}},
		{Name: "native", Arch: "x86_64"},
		{Name: "twin"},
	},
	"extra": {
		{Name: "lib", Version: "3"},
		{Name: "doc", Version: "2"},
		{Name: "only-extra"},
		{Name: "twin"},
	},
}

var (
	shared string                // directory of what tests make once; gpg wants its path short
	pools  = map[string]string{} // name -> directory
)

func TestMain(m *testing.M) {
	var err error
	if shared, err = os.MkdirTemp("", "fetch-"); err != nil {
		panic(err)
	}
	for name := range packagesOf {
		pools[name] = filepath.Join(shared, name)
	}
	code := m.Run()
	stopAgents()
	_ = os.RemoveAll(shared)
	os.Exit(code)
}

// makePools makes the shared repositories, once.
func makePools(t testing.TB) {
	testkit.NeedTool(t, "dnf", "createrepo_c")
	for name, dir := range pools {
		if _, err := os.Stat(dir); err == nil {
			continue
		}
		require.NoError(t, os.Mkdir(dir, 0o755))
		for _, p := range packagesOf[name] {
			testkit.WriteRPM(t, dir, p)
		}
		testkit.IndexRepository(t, dir)
	}
}

const head = `ref: os/x86_64/test
rojig: {name: os, summary: s, license: l}
automatic-version-prefix: "1"
releasever: "12"
`

// newWorld makes a work directory for a config; its files default to a manifest
// that wants app and a base.repo with both repositories, of which extra is not
// enabled.
func newWorld(t testing.TB, files map[string]string) *world {
	makePools(t)
	dir, err := workdir.Create(t.TempDir(), arch.X86_64)
	require.NoError(t, err)
	w := &world{t: t, dir: dir, base: "file://" + pools["base"], extra: "file://" + pools["extra"]}
	w.config(map[string]string{
		"image.yaml": "size: 8\n",
		"base.repo":  fmt.Sprintf("[base]\nbaseurl=%s\n[extra]\nbaseurl=%s\nenabled=0\n", w.base, w.extra),
	})
	w.config(map[string]string{"manifest.yaml": "packages: [app]\nrecommends: false\n"})
	w.config(files)
	return w
}

// config writes files of the config; a manifest gets the lines that every one
// needs, and {base} and {extra} stand for the URLs.
func (w *world) config(files map[string]string) {
	for name, text := range files {
		if name == "manifest.yaml" {
			text = head + text
		}
		text = strings.NewReplacer("{base}", w.base, "{extra}", w.extra).Replace(text)
		path := filepath.Join(w.dir.Config(), name)
		require.NoError(w.t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(w.t, os.WriteFile(path, []byte(text), 0o644))
	}
}

func (w *world) fetch(o Options) (*Result, error) {
	w.t.Helper()
	return Run(w.t.Context(), tool.Host{}, progress.New(&w.log), w.dir, o)
}

// fetched is the NEVRAs of a fetch that must succeed; every file is verified.
func (w *world) fetched(o Options) []string {
	w.t.Helper()
	result, err := w.fetch(o)
	require.NoError(w.t, err)
	cache := rpmrepo.Cache(w.dir.Cache())
	if !o.DryRun {
		require.NoError(w.t, rpmrepo.VerifyAll(w.t.Context(), result.Packages, cache.Packages()))
	}
	return nevras(result.Packages)
}

// composed is what a build installs.
func (w *world) composed() ([]string, error) {
	w.t.Helper()
	config, err := configrepo.Load(w.t.Context(), configrepo.Location{Dir: w.dir.Config(), Arch: w.dir.Arch})
	require.NoError(w.t, err)
	got, err := config.Packages(w.t.Context(), tool.Host{}, configrepo.Compose{
		Cache: rpmrepo.Cache(w.dir.Cache()), Overrides: filepath.Join(w.dir.Overrides(), "rpm"), Scratch: w.t.TempDir(),
	})
	if err != nil {
		return nil, err
	}
	require.NoError(w.t, rpmrepo.VerifyAll(w.t.Context(), got.Packages, rpmrepo.Cache(w.dir.Cache()).Packages()))
	return nevras(got.Packages), nil
}

func (w *world) override(p testkit.RPM) {
	w.t.Helper()
	testkit.WriteRPM(w.t, filepath.Join(w.dir.Overrides(), "rpm"), p)
}

func nevras(packages []rpmrepo.Package) []string {
	var names []string
	for _, p := range packages {
		names = append(names, p.NEVRA())
	}
	return names
}

func serve(t testing.TB, handler http.Handler) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func serveDir(t testing.TB, dir string) string { return serve(t, http.FileServer(http.Dir(dir))) }
