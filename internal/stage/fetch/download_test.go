package fetch

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/rpmrepo"
)

func TestAnUnreachableRepositoryIsNamedWithoutItsPassword(t *testing.T) {
	w := newWorld(t, map[string]string{"base.repo": "[base]\nbaseurl={base}\n" +
		"[down]\nbaseurl=http://bot:hunter2@127.0.0.1:1/os/\n" +
		"[private]\nbaseurl=" + serve(t, http.NotFoundHandler()) + "/os?token=hunter2\n"})
	_, err := w.fetch(Options{})
	require.ErrorContains(t, err, `base.repo:3:1: repository "down" cannot be read from http://127.0.0.1:1/os/: Curl error (7): Couldn't connect to server`)
	require.ErrorContains(t, err, `base.repo:5:1: repository "private" cannot be read from http://127.0.0.1:`)
	require.ErrorContains(t, err, "Status code: 404")
	require.NotContains(t, err.Error()+w.log.String(), "hunter2")
}

// counter serves the base repository and counts the packages it gives.
func counter(t testing.TB, given *atomic.Int64) string {
	makePools(t)
	files := http.FileServer(http.Dir(pools["base"]))
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".rpm") {
			given.Add(1)
		}
		files.ServeHTTP(w, r)
	}))
}

func TestWhatIsHereIsNotDownloadedAgain(t *testing.T) {
	var given atomic.Int64
	w := newWorld(t, map[string]string{"base.repo": "[base]\nbaseurl=" + counter(t, &given) + "\n"})
	w.fetched(Options{})
	require.EqualValues(t, 2, given.Load())
	w.fetched(Options{})
	require.EqualValues(t, 2, given.Load())
}

// TestOnlyWholePackagesCount puts into the cache what a killed fetch, a full
// disk or another repository may have left there.
func TestOnlyWholePackagesCount(t *testing.T) {
	makePools(t)
	whole, err := os.ReadFile(filepath.Join(pools["base"], "lib-2-1.noarch.rpm"))
	require.NoError(t, err)
	for name, left := range map[string][]byte{
		"nothing yet":      {},
		"half a package":   whole[:len(whole)/2],
		"zeros at its end": append(whole[:len(whole)/2:len(whole)/2], make([]byte, len(whole)-len(whole)/2)...),
		"another package":  append([]byte("another"), whole...),
	} {
		t.Run(name, func(t *testing.T) {
			var given atomic.Int64
			for _, url := range []string{"file://" + pools["base"], counter(t, &given)} {
				w := newWorld(t, map[string]string{"base.repo": "[base]\nbaseurl=" + url + "\n"})
				rpms := rpmrepo.Cache(w.dir.Cache()).Packages()
				require.NoError(t, os.MkdirAll(rpms, 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(rpms, "lib-2-1.noarch.rpm"), left, 0o644))
				require.Equal(t, []string{"app-1-1.noarch", "lib-2-1.noarch"}, w.fetched(Options{}))
			}
		})
	}
}

func TestAnInterruptedDownloadLeavesNoRecordAndIsTakenUp(t *testing.T) {
	makePools(t)
	var broken atomic.Bool
	broken.Store(true)
	files := http.FileServer(http.Dir(pools["base"]))
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() && strings.HasPrefix(r.URL.Path, "/lib") {
			text, _ := os.ReadFile(filepath.Join(pools["base"], r.URL.Path))
			w.Header().Set("Content-Length", "1000000")
			_, _ = w.Write(text[:len(text)/2])
			return
		}
		files.ServeHTTP(w, r)
	}))
	w := newWorld(t, map[string]string{"base.repo": "[base]\nbaseurl=" + url + "\n"})
	_, err := w.fetch(Options{})
	require.ErrorContains(t, err, "lib-2-1.noarch")
	_, err = w.composed()
	require.EqualError(t, err, "must fetch before building; run nosa fetch")
	broken.Store(false)
	require.Equal(t, []string{"app-1-1.noarch", "lib-2-1.noarch"}, w.fetched(Options{}))
}

func TestPackagesAreDownloadedAtTheSameTime(t *testing.T) {
	makePools(t)
	var now, most atomic.Int64
	files := http.FileServer(http.Dir(pools["base"]))
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".rpm") {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(200 * time.Millisecond)
			defer now.Add(-1)
		}
		files.ServeHTTP(w, r)
	}))
	w := newWorld(t, map[string]string{
		"base.repo":     "[base]\nbaseurl=" + url + "\n",
		"manifest.yaml": "packages: [app, doc, tool, native]\n",
	})
	w.fetched(Options{})
	require.Greater(t, most.Load(), int64(1))
}
