package enginetest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/assembler/container"
)

func (s *suite) pull(t *testing.T) {
	t.Run("from a layout", func(t *testing.T) {
		image := Busybox(t, "echo layout")
		dir := Layout(t, image)
		want, err := image.Digest()
		require.NoError(t, err)
		for _, text := range []string{dir, dir + ":v1", dir + ":v1@" + want.String()} {
			got, err := s.engine.Pull(t.Context(), parse(t, "oci:"+text))
			require.NoError(t, err)
			require.Equal(t, want.String(), got.Digest.String())
			require.Equal(t, []string{"/entrypoint"}, got.Config.Entrypoint)
		}
		_, err = s.engine.Pull(t.Context(), parse(t, "oci:"+dir+"@"+string(digest.FromString("other"))))
		var wrong *container.DigestError
		require.ErrorAs(t, err, &wrong)
	})
	t.Run("a manifest that was tampered with", func(t *testing.T) {
		dir := Layout(t, Busybox(t, "echo tampered"))
		ref := parse(t, "oci:"+dir)
		want, err := container.LayoutDigest(ref)
		require.NoError(t, err)
		blob := filepath.Join(dir, "blobs", "sha256", want.Encoded())
		text, err := os.ReadFile(blob)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(blob, append(text, '\n'), 0o644))
		_, err = s.engine.Pull(t.Context(), ref)
		require.ErrorContains(t, err, "not the one that was asked for")
	})
	t.Run("a layer that was tampered with", func(t *testing.T) {
		image := Busybox(t, "echo layer")
		dir := Layout(t, image)
		layers, err := image.Layers()
		require.NoError(t, err)
		d, err := layers[0].Digest()
		require.NoError(t, err)
		blob := filepath.Join(dir, "blobs", "sha256", d.Hex)
		text, err := os.ReadFile(blob)
		require.NoError(t, err)
		text[len(text)/2] ^= 1
		require.NoError(t, os.WriteFile(blob, text, 0o644))
		_, err = s.engine.Pull(t.Context(), parse(t, "oci:"+dir))
		require.Error(t, err)
	})
	t.Run("from a registry", s.registry)
}

func (s *suite) registry(t *testing.T) {
	hub := Registry(t, "", "")
	name := hub.Host + "/nosa/assembler"
	first := hub.Push(t, "v1", Busybox(t, "echo registry one"))
	got, err := s.engine.Pull(t.Context(), parse(t, name+":v1"))
	require.NoError(t, err)
	require.Equal(t, first, got.Digest.String())

	second := hub.Push(t, "v1", Busybox(t, "echo registry two"))
	got, err = s.engine.Pull(t.Context(), parse(t, name+":v1"))
	require.NoError(t, err)
	require.Equal(t, second, got.Digest.String(), "a tag is looked up each time")

	_, err = s.engine.Pull(t.Context(), parse(t, name+"@"+string(digest.FromString("unknown"))))
	require.Error(t, err)

	before := hub.Requests()
	hub.Stop()
	begin := time.Now()
	got, err = s.engine.Pull(t.Context(), parse(t, name+":v1@"+first))
	require.NoError(t, err, "a digest that is there needs no network")
	took := time.Since(begin)
	require.Equal(t, first, got.Digest.String())
	require.Equal(t, before, hub.Requests())
	t.Logf("pull of a digest that is there: %s", took)
}
