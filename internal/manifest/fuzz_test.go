package manifest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/manifest"
)

// FuzzLoad flattens the files of a txtar archive, of which the conformance cases
// are the first: whatever they hold ends in JSON or in findings that name a file.
func FuzzLoad(f *testing.F) {
	cases, err := filepath.Glob("testdata/conformance/*.txtar")
	require.NoError(f, err)
	require.NotEmpty(f, cases)
	for _, path := range cases {
		if strings.Contains(path, "depth-5") {
			continue // fifty files for one rule
		}
		data, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(data)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		require.NoError(t, os.RemoveAll(dir))
		if !unpack(txtar.Parse(data).Files, dir) {
			return
		}
		path := filepath.Join(dir, "manifest.yaml")
		if _, err := os.Stat(path); err == nil {
			addIdentity(t, path)
		}
		m, err := manifest.Load(path, manifest.Options{Arch: arch.X86_64})
		if err != nil {
			require.NotEmpty(t, diag.Findings(err))
			for _, finding := range diag.Findings(err) {
				require.NotEmpty(t, finding.Pos.File)
				require.NotEmpty(t, finding.Message)
			}
			return
		}
		flat, err := m.JSON()
		require.NoError(t, err)
		require.True(t, json.Valid(flat))
		_, err = m.Digest()
		require.NoError(t, err)
	})
}

// unpack writes a few files below dir; false means that their names cannot be.
func unpack(files []txtar.File, dir string) bool {
	for i, f := range files {
		if i > 8 || !filepath.IsLocal(f.Name) {
			return false
		}
		path := filepath.Join(dir, f.Name)
		if os.MkdirAll(filepath.Dir(path), 0o755) != nil || os.WriteFile(path, f.Data, 0o755) != nil {
			return false
		}
	}
	return true
}
