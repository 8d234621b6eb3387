// Package debtest builds small Debian packages with dpkg-deb, for tests.
package debtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Spec is a package to build.
type Spec struct {
	Control     string            // whole control file
	Conffiles   string            // one path a line
	Files       map[string]string // path: content
	Modes       map[string]os.FileMode
	Links       map[string]string // place: target of a symbolic link
	HardLinks   map[string]string // place: file that comes first in name order
	Compression string            // xz, gzip, zstd, none; "" is xz
}

// Build writes the package and returns its path. The test is skipped where
// dpkg-deb is missing.
func Build(t testing.TB, s Spec) string {
	t.Helper()
	testkit.NeedTool(t, "dpkg-deb", "xz")
	root := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	for name, text := range s.Files {
		write(name, text)
	}
	for name, first := range s.HardLinks {
		require.NoError(t, os.Link(filepath.Join(root, first), filepath.Join(root, name)))
	}
	for name, target := range s.Links {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.Symlink(target, path))
	}
	for name, mode := range s.Modes {
		require.NoError(t, os.Chmod(filepath.Join(root, name), mode))
	}
	write("DEBIAN/control", s.Control)
	if s.Conffiles != "" {
		write("DEBIAN/conffiles", s.Conffiles)
	}
	if s.Compression == "" {
		s.Compression = "xz"
	}
	out := filepath.Join(t.TempDir(), "package.deb")
	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{
		Name: "dpkg-deb",
		Args: []string{"--root-owner-group", "-Z" + s.Compression, "--build", root, out},
		Env:  []string{"SOURCE_DATE_EPOCH=1700000000"},
	})
	require.NoError(t, err)
	return out
}
