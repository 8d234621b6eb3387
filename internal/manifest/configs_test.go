package manifest_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/manifest"
	"github.com/nestos/nosa-actions/internal/testkit"
)

// published are real config repositories, kept beside the checkout where there
// are any.
var published = []string{"nestos-config", "fedora-coreos-config"}

func publishedTreefile(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "data", name, "manifest.yaml")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the published config repository is not here: %v", err)
	}
	return path
}

// TestPublishedConfigs flattens real configs. The golden files hold the sha256 of
// scripts, which are not ours, and everything else as it is.
func TestPublishedConfigs(t *testing.T) {
	for _, name := range published {
		for _, a := range arch.All() {
			t.Run(name+"/"+a.RPM, func(t *testing.T) {
				m, err := manifest.Load(publishedTreefile(t, name), manifest.Options{Arch: a})
				require.NoError(t, err)
				require.Empty(t, m.Warnings)
				testkit.Golden(t, filepath.Join("published", name+"."+a.RPM+".json"), withoutScripts(t, m))
			})
		}
	}
}

func withoutScripts(t *testing.T, m *manifest.Manifest) []byte {
	var scripts []string
	for _, s := range m.Postprocess {
		from := filepath.Base(s.Pos.File)
		scripts = append(scripts, fmt.Sprintf("%s sha256:%x", from, sha256.Sum256([]byte(s.Body))))
	}
	all := fields(t, m)
	all["postprocess"] = scripts
	return []byte(render(t, all))
}

// BenchmarkLoad flattens and prints the published configs.
func BenchmarkLoad(b *testing.B) {
	for _, name := range published {
		b.Run(name, func(b *testing.B) {
			path := publishedTreefile(b, name)
			for b.Loop() {
				m, err := manifest.Load(path, manifest.Options{Arch: arch.X86_64})
				require.NoError(b, err)
				_, err = m.JSON()
				require.NoError(b, err)
			}
		})
	}
}
