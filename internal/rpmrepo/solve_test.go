package rpmrepo

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// pool is a repository in which app needs lib, and lib has two versions.
func pool(t *testing.T) string {
	testkit.NeedTool(t, "dnf", python)
	return testkit.Repository(t,
		testkit.RPM{Name: "app", Requires: []string{"lib >= 1"}},
		testkit.RPM{Name: "lib", Version: "1"},
		testkit.RPM{Name: "lib", Version: "2"},
		testkit.RPM{Name: "other"},
	)
}

func request(t *testing.T, url string) Request {
	dir := t.TempDir()
	path := filepath.Join(dir, "pool.repo")
	text := fmt.Sprintf("[pool]\nname=pool\nbaseurl=%s\ngpgcheck=0\n", url)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	set, err := Gather(dir)
	require.NoError(t, err)
	return Request{
		Repos: set, Enable: []string{"pool"}, BaseArch: "x86_64", Install: []Wanted{{Spec: "app"}},
		Cache: filepath.Join(dir, "cache"), Packages: filepath.Join(dir, "rpms"), Scratch: filepath.Join(dir, "scratch"),
	}
}

func solved(t *testing.T, req Request) []string {
	solution, err := Solve(t.Context(), tool.Host{}, req)
	require.NoError(t, err)
	var names []string
	for _, p := range solution.Packages {
		names = append(names, p.NEVRA())
		require.NoError(t, p.Verify(req.Packages))
	}
	return names
}

func TestSolveBringsTheNewestWithWhatItNeeds(t *testing.T) {
	dir := pool(t)
	for name, url := range map[string]string{"file": "file://" + dir, "http": serve(t, dir)} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, []string{"app-1-1.noarch", "lib-2-1.noarch"}, solved(t, request(t, url)))
		})
	}
}

func serve(t *testing.T, dir string) string {
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	return server.URL
}

func TestLocksPinOrHide(t *testing.T) {
	url := "file://" + pool(t)

	relaxed := request(t, url)
	relaxed.Locks = map[string]Lock{"lib": {Version: "0:1-1"}}
	require.Equal(t, []string{"app-1-1.noarch", "lib-1-1.noarch"}, solved(t, relaxed))

	strict := request(t, url)
	strict.Strict, strict.Locks = true, map[string]Lock{"app": {Version: "0:1-1.noarch"}, "lib": {Version: "0:1-1.noarch"}}
	require.Equal(t, []string{"app-1-1.noarch", "lib-1-1.noarch"}, solved(t, strict))

	strict = request(t, url)
	strict.Strict, strict.Locks = true, map[string]Lock{"app": {Version: "0:1-1.noarch"}}
	_, err := Solve(t.Context(), tool.Host{}, strict)
	require.ErrorContains(t, err, "the packages do not fit together")

	stale := request(t, url)
	stale.Locks = map[string]Lock{"other": {Version: "0:9-1"}}
	solution, err := Solve(t.Context(), tool.Host{}, stale)
	require.NoError(t, err)
	require.Equal(t, []string{"no repository has the locked package other 0:9-1"}, solution.Warnings)
}

func TestMissingPackagesAreFindingsAtTheirLines(t *testing.T) {
	req := request(t, "file://"+pool(t))
	req.Exclude = []string{"other"}
	req.Install = []Wanted{
		{Spec: "nothere", Pos: diag.Pos{File: "manifest.yaml", Line: 7, Column: 5}},
		{Spec: "app", Pos: diag.Pos{File: "manifest.yaml", Line: 8, Column: 5}},
		{Spec: "other", Pos: diag.Pos{File: "manifest.yaml", Line: 9, Column: 5}},
	}
	_, err := Solve(t.Context(), tool.Host{}, req)
	require.EqualError(t, err, `manifest.yaml:7:5: package "nothere" is in none of the repositories pool
manifest.yaml:9:5: package "other" is in none of the repositories pool; it is in exclude-packages; take it out of one of the two lists`)
}

func TestARepositoryThatIsDownIsNamed(t *testing.T) {
	testkit.NeedTool(t, "dnf", python)
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, err := Solve(t.Context(), tool.Host{}, request(t, server.URL))
	require.ErrorContains(t, err, `pool.repo:1:1: repository "pool" cannot be read from `+server.URL)
}

func TestARepositoryThatLiesIsCaughtAndLeavesNothing(t *testing.T) {
	dir := pool(t)
	// The metadata stays, the package changes.
	require.NoError(t, os.WriteFile(filepath.Join(dir, "lib-2-1.noarch.rpm"), []byte("not what was indexed"), 0o644))
	for name, url := range map[string]string{"file": "file://" + dir, "http": serve(t, dir)} {
		t.Run(name, func(t *testing.T) {
			req := request(t, url)
			_, err := Solve(t.Context(), tool.Host{}, req)
			require.ErrorContains(t, err, "lib-2-1.noarch")
			require.NoFileExists(t, filepath.Join(req.Packages, "lib-2-1.noarch.rpm"))
		})
	}
}

func TestADryRunDownloadsNothing(t *testing.T) {
	req := request(t, serve(t, pool(t)))
	req.DryRun = true
	solution, err := Solve(t.Context(), tool.Host{}, req)
	require.NoError(t, err)
	require.Len(t, solution.Packages, 2)
	entries, err := os.ReadDir(req.Packages)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestRecordRefusesNamesThatLeadOut(t *testing.T) {
	cache := Cache(t.TempDir())
	_, err := cache.Load()
	require.ErrorIs(t, err, ErrNotFetched)
	require.NoError(t, cache.Save(&Fetched{Solution: Solution{Packages: []Package{{Name: "a", File: "../../a.rpm"}}}}))
	_, err = cache.Load()
	require.ErrorContains(t, err, `"../../a.rpm" is no file name`)
}
