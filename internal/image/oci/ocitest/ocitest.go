// Package ocitest makes builds with a real OCI archive, for tests of what is
// done with one.
package ocitest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo/repotest"
	"github.com/nestos/nosa-actions/internal/image/oci"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// Publish commits the tree and publishes a build of it, whose ref is
// os/ARCH/stable and whose only artifact is the archive.
func Publish(t testing.TB, dir *workdir.Dir, id, tree string) workdir.Build {
	t.Helper()
	tmp := filepath.Join(dir.Tmp(), "made")
	require.NoError(t, os.MkdirAll(tmp, 0o755))
	repo := repotest.Init(t, "archive")
	hash := strings.Repeat("0", 64)
	m := &workdir.Meta{
		BuildID: id, Name: "os", Ref: "os/" + dir.Arch.RPM + "/stable", Basearch: dir.Arch.RPM,
		OSTreeCommit:          repotest.Commit(t, repo, tree, "--branch=os/"+dir.Arch.RPM+"/stable"),
		OSTreeContentChecksum: hash, InputHash: hash, OSTreeVersion: id, OSTreeTimestamp: "2025-01-14T08:00:00Z",
	}
	kind, err := workdir.FindImageKind("ostree")
	require.NoError(t, err)
	archive := filepath.Join(tmp, kind.FileName(m.Name, id, dir.Arch.RPM))
	_, err = oci.Export(t.Context(), tool.Host{}, oci.ExportInput{Repo: repo, Commit: m.OSTreeCommit, Output: archive, Arch: dir.Arch})
	require.NoError(t, err)
	image, err := workdir.DescribeImage(archive)
	require.NoError(t, err)
	image.SkipCompression = true
	m.SetImage("ostree", image)
	require.NoError(t, workdir.WriteMeta(tmp, m))
	build, err := dir.Publish(tmp, id)
	require.NoError(t, err)
	return build
}
