package oci_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo/repotest"
	"github.com/nestos/nosa-actions/internal/image/oci"
	"github.com/nestos/nosa-actions/internal/tool"
)

// refused imports the bytes and demands that the repository stays without the
// commit and without leftovers.
func refused(t *testing.T, archive []byte, repo, want string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bad.ociarchive")
	require.NoError(t, os.WriteFile(path, archive, 0o644))
	_, err := oci.Import(t.Context(), tool.Host{}, path, repo)
	require.ErrorContains(t, err, want)
	commits, err := filepath.Glob(filepath.Join(repo, "objects/*/*.commit"))
	require.NoError(t, err)
	require.Empty(t, commits)
	left, err := filepath.Glob(filepath.Join(repo, "tmp/nosa-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestDamagedArchivesAreRefused(t *testing.T) {
	f := newFixture(t, "archive")
	m := f.export(t)
	good, err := os.ReadFile(f.in.Output)
	require.NoError(t, err)
	repo := repotest.Init(t, "archive")

	for _, n := range []int{0, 1000, len(good) / 2, len(good) - 3000} {
		refused(t, good[:n], repo, "import ")
	}
	refused(t, good[:len(good)/2], repo, "cut off")
	refused(t, []byte("not a tar at all, but long enough to be looked at"), repo, "not a whole oci-archive")
	for n, layer := range m.Layers {
		begin := bytes.Index(good, []byte("blobs/sha256/"+layer.Digest.Encoded())) + 512
		for _, at := range []int64{20, layer.Size / 2, layer.Size - 5} {
			bad := bytes.Clone(good)
			bad[int64(begin)+at] ^= 0x55
			refused(t, bad, repo, "layer "+string(rune('1'+n))+": blob "+layer.Digest.String()+" is damaged")
		}
	}
	bad := bytes.Replace(good, []byte(`"ostree.commit":"`+f.commit[:6]), []byte(`"ostree.commit":"000000`), 1)
	refused(t, bad, repo, "is damaged")
}

func TestImportSaysWhatTheArchiveLacks(t *testing.T) {
	f := newFixture(t, "archive")
	f.export(t)
	for want, change := range map[string]func(*v1.Manifest, *v1.Image){
		"not an OSTree container": func(_ *v1.Manifest, c *v1.Image) { delete(c.Config.Labels, "ostree.final-diffid") },
		"is not a checksum":       func(_ *v1.Manifest, c *v1.Image) { c.Config.Labels["ostree.commit"] = "../../etc" },
		"label ostree.commit names": func(_ *v1.Manifest, c *v1.Image) {
			c.Config.Labels["ostree.commit"] = strings.Repeat("0", 64)
		},
		"were added on top": func(_ *v1.Manifest, c *v1.Image) {
			c.Config.Labels["ostree.final-diffid"] = c.RootFS.DiffIDs[0].String()
		},
		"no layer has the diffID": func(_ *v1.Manifest, c *v1.Image) { c.Config.Labels["ostree.final-diffid"] = "sha256:1" },
		"unpacked content has": func(_ *v1.Manifest, c *v1.Image) {
			c.RootFS.DiffIDs[1] = digest.FromString("x")
		},
		"manifest has 5 layers": func(m *v1.Manifest, _ *v1.Image) { m.Layers = m.Layers[:5] },
		"is in no layer": func(m *v1.Manifest, c *v1.Image) {
			m.Layers = append(m.Layers[:1:1], m.Layers[2:]...)
			c.RootFS.DiffIDs = append(c.RootFS.DiffIDs[:1:1], c.RootFS.DiffIDs[2:]...)
		},
		"is not in the first layer": func(m *v1.Manifest, c *v1.Image) {
			m.Layers, c.RootFS.DiffIDs = m.Layers[1:], c.RootFS.DiffIDs[1:]
		},
		"is not a sha256 digest": func(m *v1.Manifest, _ *v1.Image) { m.Layers[2].Digest = "sha256:../../../../etc/passwd" },
		"bytes instead of":       func(m *v1.Manifest, _ *v1.Image) { m.Layers[2].Size++ },
		"media type":             func(m *v1.Manifest, _ *v1.Image) { m.Layers[2].MediaType = "text/plain" },
		"is missing from the archive": func(m *v1.Manifest, _ *v1.Image) {
			m.Layers[2].Digest = digest.FromString("nowhere")
		},
	} {
		t.Run(want, func(t *testing.T) {
			// A repository of its own: what one archive brings may serve the next.
			refused(t, rewrite(t, f.in.Output, change), repotest.Init(t, "archive"), want)
		})
	}
}

// rewrite changes manifest and configuration and makes the digests right again.
func rewrite(t *testing.T, archive string, change func(*v1.Manifest, *v1.Image)) []byte {
	members := map[string][]byte{}
	f, err := os.Open(archive)
	require.NoError(t, err)
	defer f.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		members[h.Name], err = io.ReadAll(r)
		require.NoError(t, err)
	}
	const blobs = "blobs/sha256/"
	var index v1.Index
	require.NoError(t, json.Unmarshal(members["index.json"], &index))
	var m v1.Manifest
	require.NoError(t, json.Unmarshal(members[blobs+index.Manifests[0].Digest.Encoded()], &m))
	var c v1.Image
	require.NoError(t, json.Unmarshal(members[blobs+m.Config.Digest.Encoded()], &c))
	change(&m, &c)
	store := func(d *v1.Descriptor, v any) {
		data, err := json.Marshal(v)
		require.NoError(t, err)
		d.Digest, d.Size = digest.FromBytes(data), int64(len(data))
		members[blobs+d.Digest.Encoded()] = data
	}
	store(&m.Config, c)
	store(&index.Manifests[0], m)
	members["index.json"], err = json.Marshal(index)
	require.NoError(t, err)

	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, data := range members {
		if strings.HasSuffix(name, "/") {
			continue
		}
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}))
		_, err := w.Write(data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func TestAForeignObjectIsRefused(t *testing.T) {
	f := newFixture(t, "archive")
	f.export(t)
	repo := repotest.Init(t, "archive")
	other := fixture{repo: f.repo, in: f.in}
	tree := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(tree, "intruder"), []byte("boo"), 0o644))
	other.in.Commit, other.in.Output = repotest.Commit(t, f.repo, tree), filepath.Join(t.TempDir(), "other")
	om := other.export(t)
	data, err := os.ReadFile(other.in.Output)
	require.NoError(t, err)
	layer := om.Layers[1]
	begin := bytes.Index(data, []byte("blobs/sha256/"+layer.Digest.Encoded())) + 512
	bad := rewrite(t, f.in.Output, func(m *v1.Manifest, c *v1.Image) {
		m.Layers = append(m.Layers, layer)
		diff := config(t, other.in.Output).RootFS.DiffIDs[1]
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, diff)
		c.Config.Labels["ostree.final-diffid"] = diff.String()
	})
	bad = appendMember(t, bad, "blobs/sha256/"+layer.Digest.Encoded(), data[begin:int64(begin)+layer.Size])
	refused(t, bad, repo, "does not belong to the commit")
}

// appendMember puts a member in front, which a tar allows.
func appendMember(t *testing.T, archive []byte, name string, data []byte) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}))
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Flush())
	return append(out.Bytes(), archive...)
}

func TestCancelledWorkLeavesNothing(t *testing.T) {
	f := newFixture(t, "archive")
	f.export(t)
	repo := repotest.Init(t, "archive")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(io.ErrClosedPipe)
	_, err := oci.Import(ctx, tool.Host{}, f.in.Output, repo)
	require.ErrorIs(t, err, io.ErrClosedPipe)
	require.NoError(t, os.Remove(f.in.Output))
	_, err = oci.Export(ctx, tool.Host{}, f.in)
	require.ErrorIs(t, err, io.ErrClosedPipe)
	left, err := os.ReadDir(filepath.Dir(f.in.Output))
	require.NoError(t, err)
	require.Empty(t, left)
}

func FuzzInspect(f *testing.F) {
	var seed bytes.Buffer
	w := tar.NewWriter(&seed)
	for name, data := range map[string]string{
		"oci-layout": `{"imageLayoutVersion":"1.0.0"}`,
		"index.json": `{"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:` + strings.Repeat("0", 64) + `","size":3}]}`,
	} {
		_ = w.WriteHeader(&tar.Header{Name: name, Size: int64(len(data))})
		_, _ = w.Write([]byte(data))
	}
	_ = w.Close()
	f.Add(seed.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "a")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		img, err := oci.Inspect(path)
		require.Equal(t, err == nil, img != nil)
	})
}
