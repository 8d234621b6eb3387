package oci_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/format/ostreerepo/repotest"
	"github.com/nestos/nosa-actions/internal/image/oci"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// wire is a registry that counts the bytes of blobs that are sent to it.
type wire struct {
	host  string
	bytes atomic.Int64
	mu    sync.Mutex
	auth  []string // Authorization headers
}

type meteredBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (m meteredBody) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.n.Add(int64(n))
	return n, err
}

func (w *wire) handler(user, password string) http.Handler {
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.auth = append(w.auth, r.Header.Get("Authorization"))
		w.mu.Unlock()
		if u, p, _ := r.BasicAuth(); user != "" && (u != user || p != password) {
			rw.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		if strings.Contains(r.URL.Path, "/blobs/uploads/") {
			r.Body = meteredBody{r.Body, &w.bytes}
		}
		inner.ServeHTTP(rw, r)
	})
}

// newWire serves without TLS; an empty user: without login.
func newWire(t *testing.T, user, password string) *wire {
	w := &wire{}
	s := httptest.NewServer(w.handler(user, password))
	t.Cleanup(s.Close)
	w.host = strings.TrimPrefix(s.URL, "http://")
	return w
}

func (w *wire) target(name string) oci.Target {
	return oci.Target{Reference: w.host + "/" + name, NoTLSVerify: true}
}

// withoutLogin keeps the credentials of the machine out of a test.
func withoutLogin(t *testing.T) {
	none := t.TempDir()
	for _, name := range []string{"HOME", "XDG_RUNTIME_DIR", "DOCKER_CONFIG"} {
		t.Setenv(name, none)
	}
	t.Setenv("REGISTRY_AUTH_FILE", "")
}

// fetch copies an image back with skopeo.
func (w *wire) fetch(t *testing.T, name string, more ...string) string {
	testkit.NeedTool(t, "skopeo")
	archive := filepath.Join(t.TempDir(), "back.ociarchive")
	run(t, "skopeo", append([]string{"copy", "--quiet", "--src-tls-verify=false", "--override-arch=arm64"},
		append(more, "docker://"+w.host+"/"+name, "oci-archive:"+archive+":latest")...)...)
	return archive
}

func importCommit(t *testing.T, archive string) string {
	commit, err := oci.Import(t.Context(), tool.Host{}, archive, repotest.Init(t, "archive"))
	require.NoError(t, err)
	return commit
}

func TestAPushedImageIsTheCommit(t *testing.T) {
	withoutLogin(t)
	f := newFixture(t, "archive")
	f.export(t)
	w := newWire(t, "", "")

	done, err := oci.Push(t.Context(), f.in.Output, w.target("os/nestos:1"))
	require.NoError(t, err)

	back := w.fetch(t, "os/nestos:1")
	require.Equal(t, f.commit, importCommit(t, back))
	img, err := oci.Inspect(back)
	require.NoError(t, err)
	require.Equal(t, done.Digest, img.Digest.String())
	mine, err := oci.Inspect(f.in.Output)
	require.NoError(t, err)
	require.Equal(t, mine.Digest, img.Digest, "the registry has the very manifest of the archive")
	require.Equal(t, w.bytes.Load(), done.SentBytes)
	require.Equal(t, done.Blobs, done.Sent)
}

func TestASecondPushSendsNothing(t *testing.T) {
	withoutLogin(t)
	f := newFixture(t, "archive")
	f.export(t)
	w := newWire(t, "", "")
	first, err := oci.Push(t.Context(), f.in.Output, w.target("os:1"))
	require.NoError(t, err)
	before := w.bytes.Load()

	for _, tag := range []string{"os:1", "os:stable"} {
		again, err := oci.Push(t.Context(), f.in.Output, w.target(tag))
		require.NoError(t, err)
		require.Equal(t, first.Digest, again.Digest)
		require.Zero(t, again.Sent)
		require.Zero(t, again.SentBytes)
	}

	require.Equal(t, before, w.bytes.Load())
}

// filesOf lists the files of a tree that no package owns.
func filesOf(t *testing.T, tree string) (list []string) {
	var owned []string
	for _, p := range packages {
		owned = append(owned, p.Paths...)
	}
	require.NoError(t, filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if path = strings.TrimPrefix(path, tree); err == nil && d.Type().IsRegular() && !slices.Contains(owned, path) {
			list = append(list, path)
		}
		return err
	}))
	return list
}

func TestAnUpdateSendsWhatHasChanged(t *testing.T) {
	withoutLogin(t)
	tree := repotest.Tree(t)
	require.NoError(t, os.WriteFile(filepath.Join(tree, "usr/share/copy-2"), []byte(repotest.Noise(1<<20)), 0o644))
	f := fixture{repo: repotest.Init(t, "bare-user")}
	f.in = oci.ExportInput{Repo: f.repo, Commit: repotest.Commit(t, f.repo, tree), Output: filepath.Join(t.TempDir(), "1"), Arch: arch.X86_64}
	f.in.Packages = append(slices.Clone(packages),
		oci.PackageFiles{Name: "linux", Paths: filesOf(t, tree)})
	f.in.Components = []oci.Component{{Name: "overlay/20", Files: []string{"/etc-overlay"}}}
	f.export(t)
	w := newWire(t, "", "")
	first, err := oci.Push(t.Context(), f.in.Output, w.target("os:1"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(tree, "etc-overlay"), []byte("changed\n"), 0o644))
	f.in.PreviousArchive, f.in.Output = f.in.Output, filepath.Join(t.TempDir(), "2")
	f.in.Commit = repotest.Commit(t, f.repo, tree)
	f.export(t)

	second, err := oci.Push(t.Context(), f.in.Output, w.target("os:2"))
	require.NoError(t, err)

	t.Logf("first push %d bytes in %d blobs, an overlay changed: %d bytes in %d blobs", first.SentBytes, first.Sent, second.SentBytes, second.Sent)
	require.Equal(t, first.SentBytes+second.SentBytes, w.bytes.Load())
	require.Less(t, second.SentBytes, first.SentBytes/50)
	require.LessOrEqual(t, second.Sent, 3, "the configuration, the commit, the overlay")
}

func TestDockerFormat(t *testing.T) {
	withoutLogin(t)
	f := newFixture(t, "archive")
	f.export(t)
	w := newWire(t, "", "")
	to := w.target("os:docker")
	to.Format = oci.Docker

	_, err := oci.Push(t.Context(), f.in.Output, to)
	require.NoError(t, err)

	testkit.NeedTool(t, "skopeo")
	raw := run(t, "skopeo", "inspect", "--tls-verify=false", "--raw", "docker://"+w.host+"/os:docker")
	require.Equal(t, "application/vnd.docker.distribution.manifest.v2+json", parse(t, []byte(raw)).MediaType)
	require.Equal(t, f.commit, importCommit(t, w.fetch(t, "os:docker", "--format=oci")))
}

func TestAnIndexGivesEachMachineItsImage(t *testing.T) {
	withoutLogin(t)
	w := newWire(t, "", "")
	var archives, commits []string
	for _, machine := range []arch.Arch{arch.AArch64, arch.X86_64} {
		tree := repotest.Tree(t)
		require.NoError(t, os.WriteFile(filepath.Join(tree, "machine"), []byte(machine.RPM), 0o644))
		repo := repotest.Init(t, "archive")
		f := fixture{in: oci.ExportInput{Repo: repo, Commit: repotest.Commit(t, repo, tree), Output: filepath.Join(t.TempDir(), machine.RPM), Arch: machine}}
		f.export(t)
		archives, commits = append(archives, f.in.Output), append(commits, f.in.Commit)
	}

	done, err := oci.PushIndex(t.Context(), archives, w.target("os:all"))
	require.NoError(t, err)

	for i, machine := range []string{"arm64", "amd64"} {
		back := w.fetch(t, "os:all", "--override-arch="+machine)
		require.Equal(t, commits[i], importCommit(t, back))
		img, err := oci.Inspect(back)
		require.NoError(t, err)
		require.Equal(t, done.Images[i], img.Digest.String())
	}
	raw := run(t, "skopeo", "inspect", "--tls-verify=false", "--raw", "docker://"+w.host+"/os:all")
	require.Equal(t, v1.MediaTypeImageIndex, parse(t, []byte(raw)).MediaType)
	again, err := oci.PushIndex(t.Context(), archives, w.target("os:all"))
	require.NoError(t, err)
	require.Zero(t, again.Sent)
	require.Equal(t, done.Digest, again.Digest)
}

func authFile(t *testing.T, hosts map[string]string) string {
	var entries []string
	for host, login := range hosts {
		entries = append(entries, fmt.Sprintf("%q: {\"auth\": %q}", host, base64.StdEncoding.EncodeToString([]byte(login))))
	}
	path := filepath.Join(t.TempDir(), "auth.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"auths": {`+strings.Join(entries, ",")+`}}`), 0o600))
	return path
}

func TestCredentialsGoToTheirRegistryOnly(t *testing.T) {
	withoutLogin(t)
	f := newFixture(t, "archive")
	f.export(t)
	locked, open := newWire(t, "robot", "sesame"), newWire(t, "", "")
	file := authFile(t, map[string]string{locked.host: "robot:sesame"})
	for name, prepare := range map[string]func(t *testing.T, to *oci.Target){
		"authfile":           func(_ *testing.T, to *oci.Target) { to.AuthFile = file },
		"REGISTRY_AUTH_FILE": func(t *testing.T, _ *oci.Target) { t.Setenv("REGISTRY_AUTH_FILE", file) },
		"DOCKER_CONFIG": func(t *testing.T, _ *oci.Target) {
			dir := t.TempDir()
			require.NoError(t, os.Symlink(file, filepath.Join(dir, "config.json")))
			t.Setenv("DOCKER_CONFIG", dir)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, w := range []*wire{locked, open} {
				to := w.target("os:1")
				prepare(t, &to)
				_, err := oci.Push(t.Context(), f.in.Output, to)
				require.NoError(t, err)
			}
		})
	}
	require.NotEmpty(t, open.auth)
	for _, header := range open.auth {
		require.Empty(t, header)
	}
}

func TestTheEntryOfANamespaceWins(t *testing.T) {
	withoutLogin(t)
	f := newFixture(t, "archive")
	f.export(t)
	w := newWire(t, "robot", "sesame")
	to := w.target("team/os:1")
	to.AuthFile = authFile(t, map[string]string{w.host: "other:wrong", w.host + "/team": "robot:sesame"})

	_, err := oci.Push(t.Context(), f.in.Output, to)

	require.NoError(t, err)
}

func TestPushExplainsItself(t *testing.T) {
	withoutLogin(t)
	f := newFixture(t, "archive")
	f.export(t)
	locked := newWire(t, "robot", "sesame")
	secure := httptest.NewTLSServer((&wire{}).handler("", ""))
	t.Cleanup(secure.Close)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	wrong := authFile(t, map[string]string{locked.host: "robot:guess"})
	secureHost := strings.TrimPrefix(secure.URL, "https://")
	closedHost := strings.TrimPrefix(closed.URL, "http://")
	for name, c := range map[string]struct {
		to   oci.Target
		want string
	}{
		"no login":       {locked.target("os:1"), "there are no credentials; give --authfile, or run podman login " + locked.host},
		"wrong password": {oci.Target{Reference: locked.host + "/os:1", NoTLSVerify: true, AuthFile: wrong}, "the credentials are those for " + locked.host + " in " + wrong},
		"no TLS":         {oci.Target{Reference: locked.host + "/os:1"}, locked.host + " speaks plain HTTP, which is allowed only with --no-tls-verify"},
		"certificate":    {oci.Target{Reference: secureHost + "/os:1"}, "the certificate of " + secureHost + " is not to be trusted"},
		"unknown host":   {oci.Target{Reference: "registry.invalid/os:1"}, "there is no host registry.invalid"},
		"nobody there":   {oci.Target{Reference: closedHost + "/os:1", NoTLSVerify: true}, "nothing answers at " + closedHost},
		"bad name":       {oci.Target{Reference: "registry.invalid/OS:1"}, `image name "registry.invalid/OS:1"`},
		"bad tag":        {oci.Target{Reference: "registry.invalid/os:1+2"}, `image name "registry.invalid/os:1+2"`},
		"no such file":   {oci.Target{Reference: "registry.invalid/os:1", AuthFile: "/not/there"}, "reading credentials: open /not/there"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := oci.Push(t.Context(), f.in.Output, c.to)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "guess")
		})
	}
	_, err := oci.Push(t.Context(), f.in.Output, oci.Target{Reference: secureHost + "/os:1", NoTLSVerify: true})
	require.NoError(t, err)
}

func TestADamagedArchiveIsNotTagged(t *testing.T) {
	withoutLogin(t)
	f := newFixture(t, "archive")
	m := f.export(t)
	data, err := os.ReadFile(f.in.Output)
	require.NoError(t, err)
	last := m.Layers[len(m.Layers)-1].Digest.Encoded()
	at := strings.LastIndex(string(data), "blobs/sha256/"+last) + 512 // past the member's header
	data[at] ^= 0xff
	require.NoError(t, os.WriteFile(f.in.Output, data, 0o644))
	w := newWire(t, "", "")

	_, err = oci.Push(t.Context(), f.in.Output, w.target("os:1"))

	require.ErrorContains(t, err, "DIGEST_INVALID")
	resp, err := http.Get("http://" + w.host + "/v2/os/manifests/1")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusNotFound, resp.StatusCode)
}

func TestSaveElsewhere(t *testing.T) {
	testkit.NeedTool(t, "skopeo")
	f := newFixture(t, "archive")
	f.export(t)
	for transport, source := range map[oci.Transport]string{
		oci.Dir: "dir:PLACE:1", oci.DockerArchive: "docker-archive:PLACE", oci.OCIArchive: "oci-archive:PLACE",
	} {
		t.Run(string(transport), func(t *testing.T) {
			place := filepath.Join(t.TempDir(), "nestos")
			require.NoError(t, oci.Save(t.Context(), tool.Host{}, f.in.Output, transport, place+":1", oci.OCI))
			back := filepath.Join(t.TempDir(), "back")
			run(t, "skopeo", "copy", "--quiet", strings.ReplaceAll(source, "PLACE", place), "oci-archive:"+back+":latest")
			require.Equal(t, f.commit, importCommit(t, back))
		})
	}
	t.Run("podman", func(t *testing.T) {
		testkit.NeedTool(t, "podman")
		dir := t.TempDir()
		conf := filepath.Join(dir, "storage.conf")
		require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, "[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n", dir+"/graph", dir+"/run"), 0o644))
		t.Setenv("CONTAINERS_STORAGE_CONF", conf)
		require.NoError(t, oci.Save(t.Context(), tool.Host{}, f.in.Output, oci.Podman, "localhost/nestos:1", oci.OCI))
		require.Contains(t, run(t, "skopeo", "inspect", "containers-storage:localhost/nestos:1"), f.commit)
	})
	require.ErrorContains(t, oci.Save(t.Context(), tool.Host{}, f.in.Output, "tape", "a:1", oci.OCI), "dir, docker, docker-archive, oci-archive, podman")
}
