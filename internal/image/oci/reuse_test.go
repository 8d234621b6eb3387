package oci_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo/repotest"
	"github.com/nestos/nosa-actions/internal/image/oci"
)

// next exports a second commit, in which coreutils has changed, with the archive
// of the first at hand, and returns the bytes.
func (f fixture) next(t *testing.T, previous string) ([]byte, v1.Manifest) {
	in := f.in
	in.Output, in.PreviousArchive = filepath.Join(t.TempDir(), "next"), previous
	f.in = in
	m := f.export(t)
	data, err := os.ReadFile(in.Output)
	require.NoError(t, err)
	return data, m
}

// changed is a fixture whose next commit differs in one package, and the archive
// of the commit before.
func changed(t *testing.T) (fixture, string) {
	tree := repotest.Tree(t)
	f := fixture{repo: repotest.Init(t, "bare-user")}
	f.in = oci.ExportInput{
		Repo: f.repo, Commit: repotest.Commit(t, f.repo, tree), Output: filepath.Join(t.TempDir(), "first"), Packages: packages,
	}
	f.export(t)
	require.NoError(t, os.WriteFile(filepath.Join(tree, "usr/bin/tool"), []byte("another\n"), 0o755))
	first := f.in.Output
	f.in.Commit = repotest.Commit(t, f.repo, tree)
	return f, first
}

func TestTakenLayersGiveTheSameArchive(t *testing.T) {
	f, first := changed(t)

	anew, _ := f.next(t, "")
	taken, _ := f.next(t, first)

	require.True(t, bytes.Equal(anew, taken))
}

func TestUnchangedLayersAreTakenAsTheyAre(t *testing.T) {
	f, first := changed(t)
	foreign, moved := recompress(t, first)

	_, m := f.next(t, foreign)

	var taken, made []string
	for i, layer := range m.Layers {
		if moved[layer.Digest] {
			taken = append(taken, components(m)[i])
		} else {
			made = append(made, components(m)[i])
		}
	}
	require.Equal(t, []string{"", "coreutils"}, made)
	require.Equal(t, []string{"unpackaged", "libmount,util-linux", "iputils", "setup"}, taken)
}

func TestADamagedArchiveGivesNoLayers(t *testing.T) {
	f, first := changed(t)
	anew, _ := f.next(t, "")
	whole, err := os.ReadFile(first)
	require.NoError(t, err)
	for name, damage := range map[string]func() []byte{
		"a layer":  func() []byte { return bytes.Replace(whole, []byte("\x1f\x8b\x08"), []byte("\x1f\x8b\x09"), -1) },
		"cut off":  func() []byte { return whole[:len(whole)/2] },
		"no image": func() []byte { return []byte("nothing") },
		"missing":  nil,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "damaged")
			if damage != nil {
				require.NoError(t, os.WriteFile(path, damage(), 0o644))
			}

			made, _ := f.next(t, path)

			require.True(t, bytes.Equal(anew, made))
		})
	}
}

// recompress gives every layer of an archive other bytes with the same content,
// and returns the new archive's path and the digests of the layers in it.
func recompress(t *testing.T, archive string) (string, map[digest.Digest]bool) {
	blobs := map[string][]byte{}
	moved := map[digest.Digest]bool{}
	data := rewrite(t, archive, func(m *v1.Manifest, _ *v1.Image) {
		dir := t.TempDir()
		run(t, "tar", "-C", dir, "-xf", archive)
		for i, layer := range m.Layers {
			f, err := os.Open(filepath.Join(dir, "blobs/sha256", layer.Digest.Encoded()))
			require.NoError(t, err)
			defer f.Close()
			content, err := gzip.NewReader(f)
			require.NoError(t, err)
			var small bytes.Buffer
			w, err := gzip.NewWriterLevel(&small, gzip.BestCompression)
			require.NoError(t, err)
			_, err = io.Copy(w, content)
			require.NoError(t, err)
			require.NoError(t, w.Close())
			m.Layers[i].Digest, m.Layers[i].Size = digest.FromBytes(small.Bytes()), int64(small.Len())
			moved[m.Layers[i].Digest] = true
			blobs["blobs/sha256/"+m.Layers[i].Digest.Encoded()] = small.Bytes()
		}
	})
	for name, blob := range blobs {
		data = appendMember(t, data, name, blob)
	}
	path := filepath.Join(t.TempDir(), "foreign")
	require.NoError(t, os.WriteFile(path, data, 0o644))
	return path, moved
}
