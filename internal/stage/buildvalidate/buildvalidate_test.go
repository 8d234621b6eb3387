package buildvalidate_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/stage/buildvalidate"
	"github.com/nestos/nosa-actions/internal/stage/compress"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// twoArches publishes one build for both architectures, each with one artifact.
func twoArches(t *testing.T) *workdir.Dir {
	t.Helper()
	path := t.TempDir()
	var d *workdir.Dir
	for _, a := range arch.All() {
		var err error
		d, err = workdir.Create(path, a)
		require.NoError(t, err)
		tmp := filepath.Join(d.Tmp(), a.RPM)
		require.NoError(t, os.Mkdir(tmp, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(tmp, "disk"), []byte(a.RPM), 0o644))
		sum := sha256.Sum256([]byte(a.RPM))
		hash := strings.Repeat("0", 64)
		m := &workdir.Meta{
			BuildID: "1", Name: "nestos", OSTreeCommit: hash, OSTreeContentChecksum: hash, InputHash: hash,
			OSTreeVersion: "1", OSTreeTimestamp: "2025-01-14T08:00:00Z",
		}
		m.SetImage("qemu", workdir.Image{Path: "disk", SHA256: hex.EncodeToString(sum[:])})
		require.NoError(t, workdir.WriteMeta(tmp, m))
		_, err = d.Publish(tmp, "1")
		require.NoError(t, err)
	}
	return d
}

func TestRunChecksAllArchitectures(t *testing.T) {
	d := twoArches(t)
	checks, err := buildvalidate.Run(t.Context(), buildvalidate.Options{Workdir: d, Runner: tool.Host{}})
	require.NoError(t, err)
	require.Len(t, checks, 2)

	bad := filepath.Join(d.BuildsDir(), "1/x86_64/disk")
	require.NoError(t, os.Chmod(bad, 0o644))
	require.NoError(t, os.WriteFile(bad, []byte("broken"), 0o644))
	checks, err = buildvalidate.Run(t.Context(), buildvalidate.Options{Workdir: d, Runner: tool.Host{}})

	require.ErrorIs(t, err, buildvalidate.ErrBad)
	require.ErrorContains(t, checks[0].Err, "disk has the sha256")
	require.NoError(t, checks[1].Err)
	_, err = buildvalidate.Run(t.Context(), buildvalidate.Options{Workdir: d, Runner: tool.Host{}, NoChecksum: true})
	require.NoError(t, err)
}

func TestRunStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := buildvalidate.Run(ctx, buildvalidate.Options{Workdir: twoArches(t)})
	require.ErrorIs(t, err, context.Canceled)
}

func TestRunRefusesAnUnknownArtifact(t *testing.T) {
	_, err := buildvalidate.Run(t.Context(), buildvalidate.Options{Workdir: twoArches(t), Images: []string{"floppy"}})
	require.EqualError(t, err, `build 1 for x86_64 has no artifact "floppy"`)
}

func TestRunLooksIntoCompressedArtifacts(t *testing.T) {
	d := twoArches(t)
	_, err := compress.Compress(t.Context(), compress.Options{Workdir: d, Runner: tool.Host{}, Compressor: "gzip"})
	require.NoError(t, err)
	b, err := d.Latest()
	require.NoError(t, err)
	require.NoError(t, b.Update(func(m *workdir.Meta) error {
		image := m.Images["qemu"]
		image.UncompressedSHA256 = strings.Repeat("a", 64)
		m.Images["qemu"] = image
		return nil
	}))
	checks, err := buildvalidate.Run(t.Context(), buildvalidate.Options{Workdir: d, Runner: tool.Host{}})
	require.ErrorIs(t, err, buildvalidate.ErrBad)
	require.NoError(t, checks[0].Err)
	require.ErrorContains(t, checks[1].Err, "disk.gz holds content with the sha256 ")
}
