// Package enginetest is what container engines promise, as tests that each of
// them runs, and the small images that the tests need.
package enginetest

import (
	"archive/tar"
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Busybox makes an image of busybox alone, with an entry point that is the given
// shell script where that is not empty.
func Busybox(t testing.TB, entrypoint string) v1.Image {
	t.Helper()
	testkit.NeedTool(t, "busybox")
	path, err := tool.Look("busybox")
	require.NoError(t, err)
	program, err := os.ReadFile(path)
	require.NoError(t, err)
	files := []tar.Header{
		{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "mnt/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "bin/busybox", Mode: 0o755},
		{Name: "etc/passwd", Mode: 0o644},
		{Name: "entrypoint", Mode: 0o755},
	}
	content := map[string]string{
		"bin/busybox": string(program),
		"etc/passwd":  "root:x:0:0::/root:/bin/sh\nbuilder:x:1000:1000::/home:/bin/sh\n",
		"entrypoint":  "#!/bin/sh\n" + entrypoint + "\n",
	}
	for _, applet := range strings.Fields("sh cat echo env id ls mount umount sleep true kill stat tr touch mkdir test pwd grep readlink chmod head unshare") {
		files = append(files, tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox"})
	}
	c := v1.Config{Env: []string{"PATH=/bin", "FROM_IMAGE=yes"}, WorkingDir: "/mnt", User: "builder"}
	if entrypoint != "" {
		c.Entrypoint = []string{"/entrypoint"}
	}
	return configure(t, files, content, c)
}

// Upstream makes an image that is like nestos-assembler's to those outside: its
// entry point, user and directory, with a program of ours in the place of both
// of its own.
func Upstream(t testing.TB, program string) v1.Image {
	t.Helper()
	text, err := os.ReadFile(program)
	require.NoError(t, err)
	files := []tar.Header{
		{Name: "usr/bin/coreos-assembler", Mode: 0o755},
		{Name: "usr/bin/dumb-init", Typeflag: tar.TypeLink, Linkname: "usr/bin/coreos-assembler", Mode: 0o755},
		{Name: "etc/passwd", Mode: 0o644},
		{Name: "root/", Typeflag: tar.TypeDir, Mode: 0o700},
	}
	content := map[string]string{
		"usr/bin/coreos-assembler": string(text),
		"etc/passwd":               "root:x:0:0::/root:/bin/sh\nbuilder:x:1000:1000::/home:/bin/sh\n",
	}
	return configure(t, files, content, v1.Config{
		Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, WorkingDir: "/srv/", User: "builder",
		Entrypoint: []string{"/usr/bin/dumb-init", "/usr/bin/coreos-assembler"},
	})
}

func configure(t testing.TB, files []tar.Header, content map[string]string, c v1.Config) v1.Image {
	t.Helper()
	image, err := mutate.AppendLayers(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), layer(t, files, content))
	require.NoError(t, err)
	config, err := image.ConfigFile()
	require.NoError(t, err)
	config.OS, config.Architecture, config.Config = "linux", runtime.GOARCH, c
	image, err = mutate.ConfigFile(image, config)
	require.NoError(t, err)
	return image
}

func layer(t testing.TB, files []tar.Header, content map[string]string) v1.Layer {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range files {
		h.Size = int64(len(content[h.Name]))
		require.NoError(t, w.WriteHeader(&h))
		_, err := w.Write([]byte(content[h.Name]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer))
	require.NoError(t, err)
	return l
}

// Layout writes an image as OCI layout and returns the directory.
func Layout(t testing.TB, image v1.Image) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "layout")
	path, err := layout.Write(dir, empty.Index)
	require.NoError(t, err)
	require.NoError(t, path.AppendImage(image, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "v1"})))
	return dir
}

// Archive writes an image as OCI archive and returns the file.
func Archive(t testing.TB, image v1.Image) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image.tar")
	f, err := os.Create(file)
	require.NoError(t, err)
	w := tar.NewWriter(f)
	require.NoError(t, w.AddFS(os.DirFS(Layout(t, image))))
	require.NoError(t, w.Close())
	require.NoError(t, f.Close())
	return file
}

// Hub is a registry in memory, reached over HTTP.
type Hub struct {
	Host     string
	Requests func() int // so far
	Stop     func()

	user, password string
}

// Registry starts a registry. Where user is not empty it asks for a login.
func Registry(t testing.TB, user, password string) *Hub {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	requests := make(chan int, 1)
	requests <- 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- <-requests + 1
		if u, p, _ := r.BasicAuth(); user != "" && (u != user || p != password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return &Hub{
		Host:     strings.TrimPrefix(server.URL, "http://"),
		Requests: func() int { n := <-requests; requests <- n; return n },
		Stop:     server.Close,
		user:     user, password: password,
	}
}

// Push puts an image into the registry and returns its digest.
func (h *Hub) Push(t testing.TB, tag string, image v1.Image) string {
	t.Helper()
	layers, err := image.Layers()
	require.NoError(t, err)
	for _, l := range layers {
		r, err := l.Compressed()
		require.NoError(t, err)
		blob, err := io.ReadAll(r)
		require.NoError(t, err)
		h.send(t, http.MethodPost, "blobs/uploads/?digest="+digest.FromBytes(blob).String(), "application/octet-stream", blob)
	}
	config, err := image.RawConfigFile()
	require.NoError(t, err)
	h.send(t, http.MethodPost, "blobs/uploads/?digest="+digest.FromBytes(config).String(), "application/octet-stream", config)
	manifest, err := image.RawManifest()
	require.NoError(t, err)
	h.send(t, http.MethodPut, "manifests/"+tag, string(types.OCIManifestSchema1), manifest)
	return digest.FromBytes(manifest).String()
}

func (h *Hub) send(t testing.TB, method, path, kind string, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+h.Host+"/v2/nosa/assembler/"+path, bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", kind)
	req.SetBasicAuth(h.user, h.password)
	answer, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, answer.StatusCode, string(text))
}
