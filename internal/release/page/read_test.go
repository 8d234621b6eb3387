package page_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/streammeta"
	"github.com/nestos/nosa-actions/internal/release/page"
)

func write(t *testing.T, dir string, files map[string]string) {
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
}

func TestReadTakesWhatWasPublished(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"assets.json": `{"schema-version": "1.0.0", "release": "1.1", "base-url": "https://github.com/nestos/demo/releases/download/v1.1", "assets": [
			{"name": "os.qcow2", "arch": "x86_64", "artifact": "qemu", "size": 4, "sha256": "` + sum("os") + `"}]}`,
		"stream.json": `{"stream": "stable"}`,
		"meta.x86_64.json": `{"name": "os", "summary": "A system", "ref": "os/x86_64/stable", "ostree-commit": "6d5c", "coreos-assembler.config-gitrev": "c0ffee",
			"coreos-assembler.build-timestamp": "2025-01-14T08:03:10Z", "base-oscontainer": {"image": "registry.test/os", "digest": "sha256:1", "tags": ["stable", "1.1"]}}`,
		"changes.x86_64.json": `[["bash", 2, {"PreviousPackage": ["bash", "5.1-1", "x86_64"], "NewPackage": ["bash", "5.2-1", "x86_64"]}],
			["kernel", 3, {"PreviousPackage": ["kernel", "6.7-1", "x86_64"], "NewPackage": ["kernel", "6.6-1", "x86_64"]}],
			["zlib", 0, {"NewPackage": ["zlib", "1-1", "x86_64"]}], ["gone", 1, {"PreviousPackage": ["gone", "2-1", "x86_64"]}]]`,
	})

	r, s, err := page.Read(dir)

	require.NoError(t, err)
	require.Equal(t, page.System{Name: "os", Summary: "A system", Stream: "stable"}, s)
	require.Equal(t, []streammeta.Asset{
		{Name: "os.qcow2", Arch: "x86_64", Artifact: "qemu", Size: 4, SHA256: sum("os")}, {Name: "assets.json"}, {Name: "SHA256SUMS"},
	}, r.Assets.Assets)
	r.Assets = streammeta.Assets{}
	require.Equal(t, page.Release{
		Date: time.Date(2025, 1, 14, 8, 3, 10, 0, time.UTC), URL: "https://github.com/nestos/demo/releases/tag/v1.1", Revision: "c0ffee",
		Arches: []page.Arch{{Name: "x86_64", Commit: "6d5c", Ref: "os/x86_64/stable", Container: "registry.test/os:stable", Digest: "sha256:1"}},
		Changes: []page.Change{
			{Package: "bash", From: "5.1-1", To: "5.2-1"}, {Package: "kernel", From: "6.7-1", To: "6.6-1", Down: true},
			{Package: "zlib", To: "1-1"}, {Package: "gone", From: "2-1"},
		},
	}, r)
}

func TestReadRefusesWhatIsNoMetadata(t *testing.T) {
	good := `{"schema-version": "1.0.0", "release": "1", "assets": [{"name": "a", "arch": "x86_64", "sha256": "` + strings.Repeat("0", 64) + `"}]}`
	for want, files := range map[string]map[string]string{
		"assets.json: no such file": {},
		"assets.json: ":             {"assets.json": "{}"},
		"meta.x86_64.json: ":        {"assets.json": good, "meta.x86_64.json": "[]"},
		"changes.x86_64.json: ":     {"assets.json": good, "meta.x86_64.json": "{}", "changes.x86_64.json": `[["a"]]`},
		"stream.json: ":             {"assets.json": good, "stream.json": "<html>"},
	} {
		dir := t.TempDir()
		write(t, dir, files)
		_, _, err := page.Read(dir)
		require.ErrorContains(t, err, want)
	}
}
