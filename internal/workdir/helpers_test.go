package workdir

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
)

var noon = time.Date(2025, 1, 14, 12, 0, 0, 0, time.UTC)

func newDir(t testing.TB) *Dir {
	t.Helper()
	d, err := Create(t.TempDir(), arch.X86_64)
	require.NoError(t, err)
	d.now = func() time.Time { return noon }
	return d
}

// sample is the smallest meta.json that a build writes.
func sample(id string) *Meta {
	return &Meta{
		BuildID:               id,
		Name:                  "nestos",
		OSTreeCommit:          strings.Repeat("6d5c", 16),
		OSTreeContentChecksum: strings.Repeat("a1b2", 16),
		OSTreeTimestamp:       "2025-01-14T08:00:00Z",
		OSTreeVersion:         id,
		InputHash:             strings.Repeat("77f0", 16),
		Basearch:              "x86_64",
		BuildTimestamp:        "2025-01-14T08:03:10Z",
		ImageGenver:           new(0),
		DelayedMetaMerge:      new(false),
	}
}

// finished makes a temporary build that is ready to be published.
func finished(t testing.TB, d *Dir, id string) string {
	t.Helper()
	return finishedAs(t, d, sample(id))
}

func finishedAs(t testing.TB, d *Dir, m *Meta) string {
	t.Helper()
	dir, err := os.MkdirTemp(d.Tmp(), "build-")
	require.NoError(t, err)
	addImage(t, dir, m, "ostree", "archive of "+m.BuildID)
	require.NoError(t, WriteMeta(dir, m))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ostree-commit-object"), []byte("commit"), 0o644))
	return dir
}

// addImage makes the file of an artifact and enters it into m.
func addImage(t testing.TB, dir string, m *Meta, name, content string) {
	t.Helper()
	kind, err := FindImageKind(name)
	require.NoError(t, err)
	file := kind.FileName(m.Name, m.BuildID, m.Basearch)
	require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644))
	sum := sha256.Sum256([]byte(content))
	m.SetImage(name, Image{
		Path: file, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(content)), SkipCompression: kind.SkipCompression,
	})
}

func published(t testing.TB, d *Dir, id string) Build {
	t.Helper()
	b, err := d.Publish(finished(t, d, id), id)
	require.NoError(t, err)
	return b
}

func ids(t testing.TB, d *Dir) []string {
	t.Helper()
	index, err := d.Index()
	require.NoError(t, err)
	list := []string{}
	for _, e := range index.Builds {
		list = append(list, e.ID)
	}
	return list
}

// parseMeta reads the content of a meta.json as Build.Meta does.
func parseMeta(data []byte, file string) (*Meta, error) {
	object, err := decodeObject(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := validate(object, file); err != nil {
		return nil, err
	}
	return fromObject(object, file)
}
