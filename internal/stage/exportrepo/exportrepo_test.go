package exportrepo_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/format/ostreerepo/repotest"
	"github.com/nestos/nosa-actions/internal/image/oci/ocitest"
	"github.com/nestos/nosa-actions/internal/stage/exportrepo"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

const ref = "os/x86_64/stable"

// history is a work directory in which builds differ in one line of a file of a
// megabyte.
func history(t *testing.T, ids ...string) (*workdir.Dir, []string) {
	testkit.NeedTool(t, "ostree")
	dir, err := workdir.Create(t.TempDir(), arch.X86_64)
	require.NoError(t, err)
	tree := repotest.Tree(t)
	var commits []string
	for _, id := range ids {
		file := filepath.Join(tree, "usr/lib/large")
		require.NoError(t, os.WriteFile(file, []byte(repotest.Noise(1<<20)+id), 0o644))
		meta, err := ocitest.Publish(t, dir, id, tree).Meta()
		require.NoError(t, err)
		commits = append(commits, meta.OSTreeCommit)
	}
	return dir, commits
}

func export(t *testing.T, dir *workdir.Dir, o exportrepo.Options) exportrepo.Result {
	result, err := exportrepo.Run(t.Context(), tool.Host{}, nil, dir, o)
	require.NoError(t, err)
	return result
}

// traffic is what a server has sent, in bytes.
type traffic struct{ all, deltas atomic.Int64 }

// serve hands a directory out over HTTP.
func serve(t *testing.T, dir string) (string, *traffic) {
	sent := &traffic{}
	files := http.FileServer(http.Dir(dir))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := metered{w, []*atomic.Int64{&sent.all}}
		if strings.HasPrefix(r.URL.Path, "/deltas/") {
			m.n = append(m.n, &sent.deltas)
		}
		files.ServeHTTP(m, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, sent
}

type metered struct {
	http.ResponseWriter
	n []*atomic.Int64
}

func (m metered) Write(p []byte) (int, error) {
	n, err := m.ResponseWriter.Write(p)
	for _, sum := range m.n {
		sum.Add(int64(n))
	}
	return n, err
}

// client is a repository that knows the server.
func client(t *testing.T, url string) string {
	repo := repotest.Init(t, "bare-user")
	repotest.Ostree(t, "remote", "add", "--repo="+repo, "--no-gpg-verify", "os", url)
	return repo
}

func pull(t *testing.T, repo string, more ...string) string {
	repotest.Ostree(t, append([]string{"pull", "--repo=" + repo}, more...)...)
	repotest.Ostree(t, "fsck", "--repo="+repo)
	return strings.TrimSpace(repotest.Ostree(t, "rev-parse", "--repo="+repo, "os:"+ref))
}

// The ostree of Debian 12 (2022.7) fetches objects beside a delta that it takes,
// so what the delta saves is seen in its own size and in that it is enough alone.
func TestAPlainClientUpdatesThroughTheDelta(t *testing.T) {
	dir, commits := history(t, "1", "2")
	repo := filepath.Join(t.TempDir(), "www")
	export(t, dir, exportrepo.Options{Dir: repo, Build: "1"})
	url, sent := serve(t, repo)
	with, without, offline := client(t, url), client(t, url), client(t, url)
	for _, c := range []string{with, without, offline} {
		require.Equal(t, commits[0], pull(t, c, "os", ref))
	}
	whole := sent.all.Load() / 3

	result := export(t, dir, exportrepo.Options{Dir: repo})
	require.Equal(t, []exportrepo.Commit{{Ref: ref, Checksum: commits[1], DeltaFrom: commits[0]}}, result.Commits)
	require.Equal(t, commits[1], pull(t, with, "--require-static-deltas", "os", ref))
	delta := sent.deltas.Swap(0)
	sent.all.Store(0)
	require.Equal(t, commits[1], pull(t, without, "--disable-static-deltas", "os", ref))
	objects := sent.all.Load()

	t.Logf("first pull %d bytes; update by the delta %d bytes, by objects %d bytes", whole, delta, objects)
	require.Zero(t, sent.deltas.Load())
	require.NotZero(t, delta)
	require.Less(t, delta, objects/10)
	require.Less(t, objects, whole)
	files, err := filepath.Glob(repo + "/deltas/*/*")
	require.NoError(t, err)
	require.Len(t, files, 1)
	repotest.Ostree(t, "static-delta", "apply-offline", "--repo="+offline, files[0])
	require.Equal(t, repotest.List(t, with, commits[1]), repotest.List(t, offline, commits[1]))
	repotest.Ostree(t, "fsck", "--repo="+offline)
	repotest.Ostree(t, "fsck", "--repo="+repo)
}

func TestTheTarIsARepositoryToServe(t *testing.T) {
	dir, commits := history(t, "1", "2")
	result := export(t, dir, exportrepo.Options{})
	require.Equal(t, filepath.Join(dir.BuildsDir(), "2/x86_64/os-2-ostree-repo.x86_64.tar"), result.Path)
	before := members(t, result.Path)

	www := t.TempDir()
	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "tar", Args: []string{"-xf", result.Path, "-C", www}})
	require.NoError(t, err)
	repotest.Ostree(t, "fsck", "--repo="+www+"/repo")
	url, sent := serve(t, filepath.Join(www, "repo"))
	require.Equal(t, commits[1], pull(t, client(t, url), "os", ref))

	seed := filepath.Join(t.TempDir(), "seed")
	export(t, dir, exportrepo.Options{Build: "1", Dir: seed})
	behind := client(t, url)
	repotest.Ostree(t, "pull-local", "--repo="+behind, "--remote=os", seed, ref)
	require.Equal(t, commits[1], pull(t, behind, "--require-static-deltas", "os", ref))
	require.NotZero(t, sent.deltas.Load())

	require.Empty(t, leftovers(t, dir))
	first, err := os.ReadFile(result.Path)
	require.NoError(t, err)
	again := export(t, dir, exportrepo.Options{})
	require.Equal(t, before, members(t, again.Path))
	second, err := os.ReadFile(again.Path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(first, second), "a rerun of a release must find its upload")

	// The times that libostree would write are those of the commit.
	require.Contains(t, repotest.Ostree(t, "summary", "--view", "--repo="+www+"/repo"), "Last-Modified (ostree.summary.last-modified): 2025-01-14T08:00:00")
	deltas := strings.Fields(repotest.Ostree(t, "static-delta", "list", "--repo="+www+"/repo"))
	require.Len(t, deltas, 1)
	require.Contains(t, repotest.Ostree(t, "static-delta", "show", "--repo="+www+"/repo", deltas[0]), "Timestamp: 1736841600")
}

func leftovers(t *testing.T, dir *workdir.Dir) []string {
	found, err := filepath.Glob(filepath.Join(dir.Tmp(), "build.repo*"))
	require.NoError(t, err)
	return found
}

// members are the names in a tar file, in order.
func members(t *testing.T, path string) string {
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "tar", Args: []string{"-tf", path}})
	require.NoError(t, err)
	return string(out)
}

func TestPruneKeepsTheDeltaToTheNewest(t *testing.T) {
	dir, commits := history(t, "1", "2", "3")
	repo := filepath.Join(t.TempDir(), "www")
	for _, id := range []string{"1", "2", "3"} {
		export(t, dir, exportrepo.Options{Dir: repo, Build: id, Prune: true})
	}
	require.Equal(t, commits[1]+"-"+commits[2]+"\n", repotest.Ostree(t, "static-delta", "list", "--repo="+repo))
	require.Equal(t, ref+"\n", repotest.Ostree(t, "refs", "--repo="+repo))
	repotest.Ostree(t, "fsck", "--repo="+repo)
}

func TestTheSameBuildAgainChangesNothing(t *testing.T) {
	dir, commits := history(t, "1")
	repo := filepath.Join(t.TempDir(), "www")
	for range 2 {
		result := export(t, dir, exportrepo.Options{Dir: repo})
		require.Equal(t, []exportrepo.Commit{{Ref: ref, Checksum: commits[0]}}, result.Commits)
	}
	require.Contains(t, repotest.Ostree(t, "static-delta", "list", "--repo="+repo), "No static deltas")
}

func TestExportExplainsItself(t *testing.T) {
	dir, _ := history(t, "1")
	bare := repotest.Init(t, "bare-user")
	for name, c := range map[string]struct {
		o    exportrepo.Options
		want string
	}{
		"bare":     {exportrepo.Options{Dir: bare}, "only one of the mode archive can be pulled over HTTP"},
		"no build": {exportrepo.Options{Build: "7"}, "build 7: no such build"},
		"no from":  {exportrepo.Options{DeltaFrom: "0"}, "build 0: no such build"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := exportrepo.Run(t.Context(), tool.Host{}, nil, dir, c.o)
			require.ErrorContains(t, err, c.want)
		})
	}
	b, err := dir.Latest()
	require.NoError(t, err)
	require.NoError(t, b.Update(func(m *workdir.Meta) error { m.Ref = ""; return nil }))
	_, err = exportrepo.Run(t.Context(), tool.Host{}, nil, dir, exportrepo.Options{Dir: t.TempDir() + "/www"})
	require.ErrorContains(t, err, "give the manifest one, such as ref:")
}
