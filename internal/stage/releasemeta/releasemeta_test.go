package releasemeta_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/format/streammeta"
	"github.com/nestos/nosa-actions/internal/stage/releasemeta"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// publish makes a build with a qemu image in a work directory.
func publish(t *testing.T, path string, a arch.Arch) *workdir.Dir {
	t.Helper()
	d, err := workdir.Create(path, a)
	require.NoError(t, err)
	tmp, err := d.BeginBuild(a.RPM)
	require.NoError(t, err)
	m := &workdir.Meta{
		BuildID: "1.0", Name: "os", OSTreeVersion: "1.0", OSTreeTimestamp: "2025-01-14T08:00:00Z", Basearch: a.RPM,
		OSTreeCommit: strings.Repeat("6d", 32), OSTreeContentChecksum: strings.Repeat("a1", 32), InputHash: strings.Repeat("77", 32),
		ConfigGit: &workdir.Git{Commit: strings.Repeat("ab", 20), Origin: "unknown", Branch: "testing"},
	}
	name := "os-1.0-qemu." + a.RPM + ".qcow2"
	require.NoError(t, os.WriteFile(filepath.Join(tmp, name), []byte("image"), 0o644))
	m.SetImage("qemu", workdir.Image{Path: name, SHA256: strings.Repeat("1", 64), Size: 5})
	require.NoError(t, workdir.WriteMeta(tmp, m))
	_, err = d.Publish(tmp, "1.0")
	require.NoError(t, err)
	return d
}

func read(t *testing.T, path string) *streammeta.Release {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	r, err := streammeta.ParseRelease(data)
	require.NoError(t, err)
	return r
}

func TestAllArchitecturesOfABuild(t *testing.T) {
	dir := t.TempDir()
	publish(t, dir, arch.AArch64)
	d := publish(t, dir, arch.X86_64)

	path, err := releasemeta.Run(t.Context(), releasemeta.Options{Workdir: d, BaseURL: "https://example.org/streams/"})

	require.NoError(t, err)
	require.Equal(t, filepath.Join(d.BuildsDir(), "1.0", "release.json"), path)
	r := read(t, path)
	require.Equal(t, []string{"1.0", "testing"}, []string{r.Release, r.Stream})
	require.Len(t, r.Architectures, 2)
	require.Equal(t, streammeta.Artifact{
		Location:  "https://example.org/streams/testing/builds/1.0/aarch64/os-1.0-qemu.aarch64.qcow2",
		Signature: "https://example.org/streams/testing/builds/1.0/aarch64/os-1.0-qemu.aarch64.qcow2.sig",
		SHA256:    strings.Repeat("1", 64),
	}, *r.Architectures["aarch64"].Media["qemu"].Artifacts["qcow2"].Disk)
	require.Empty(t, r.Architectures["aarch64"].Media["metal"].Artifacts)
	require.NotNil(t, r.Architectures["aarch64"].Media["metal"])

	_, err = releasemeta.Run(t.Context(), releasemeta.Options{Workdir: d, BaseURL: "https://example.org/other/", NoSignatures: true})
	require.ErrorContains(t, err, "two different sets of images for qemu")
}

func TestMetadataFromElsewhere(t *testing.T) {
	d := publish(t, t.TempDir(), arch.X86_64)
	server := httptest.NewServer(http.FileServer(http.Dir(d.BuildsDir())))
	defer server.Close()
	out := filepath.Join(t.TempDir(), "release.json")
	local := "file://" + filepath.Join(d.BuildsDir(), "1.0/x86_64/meta.json")
	o := releasemeta.Options{URLs: []string{server.URL + "/1.0/x86_64/meta.json", local}, BaseURL: "https://example.org", Output: out, NoSignatures: true}

	_, err := releasemeta.Run(t.Context(), o)

	require.NoError(t, err)
	require.Empty(t, read(t, out).Architectures["x86_64"].Media["qemu"].Artifacts["qcow2"].Disk.Signature)
	o.URLs = []string{server.URL + "/absent.json"}
	_, err = releasemeta.Run(t.Context(), o)
	require.ErrorContains(t, err, "404")
	o.Output = ""
	_, err = releasemeta.Run(t.Context(), o)
	require.ErrorContains(t, err, "give --output FILE")
	_, err = releasemeta.Run(t.Context(), releasemeta.Options{Workdir: d})
	require.ErrorContains(t, err, "give --stream-baseurl URL")
}
