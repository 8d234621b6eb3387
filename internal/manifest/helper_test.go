package manifest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/manifest"
)

// complete is the least that a treefile must have.
const complete = `
rojig: {name: mini, summary: Mini, license: MIT}
automatic-version-prefix: "1"
`

// write puts files into a directory of their own, which becomes the working
// directory, so that findings have short paths.
func write(t testing.TB, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, content := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
	}
}

func load(t testing.TB, path string) *manifest.Manifest {
	t.Helper()
	m, err := manifest.Load(path, manifest.Options{Arch: arch.X86_64})
	require.NoError(t, err)
	return m
}

func loadError(t testing.TB, path string) string {
	t.Helper()
	_, err := manifest.Load(path, manifest.Options{Arch: arch.X86_64})
	require.Error(t, err)
	return err.Error()
}

func names(packages []manifest.Package) []string {
	var list []string
	for _, p := range packages {
		list = append(list, p.Name)
	}
	return list
}

func values(items []manifest.Item) []string {
	var list []string
	for _, i := range items {
		list = append(list, i.Value)
	}
	return list
}
