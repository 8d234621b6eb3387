package manifest_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/manifest"
	"github.com/nestos/nosa-actions/internal/testkit"
)

// identity is what every treefile must have. The cases leave it out.
var identity = []struct{ key, line string }{
	{"rojig", "rojig: {name: mini, summary: Mini, license: MIT}\n"},
	{"automatic-version-prefix", `automatic-version-prefix: "1"` + "\n"},
}

// TestConformance reads testdata/conformance as its README.md says.
func TestConformance(t *testing.T) {
	results := []string{"flat.json", "flat.aarch64.json", "warnings.txt", "error.txt"}
	testkit.Conformance(t, "testdata/conformance", results, func(t *testing.T, asked []string) map[string]string {
		entry := "manifest.yaml"
		if _, err := os.Stat("manifest.json"); err == nil {
			entry = "manifest.json"
		}
		left := []string{"basearch"}
		if entry == "manifest.yaml" {
			left = append(left, addIdentity(t, entry)...)
		}
		got := map[string]string{}
		m, err := manifest.Load(entry, manifest.Options{Arch: arch.X86_64})
		if err != nil {
			require.NotEmpty(t, diag.Findings(err))
			got["error.txt"] = err.Error() + "\n"
			return got
		}
		got["flat.json"] = flat(t, m, left)
		var warnings strings.Builder
		for _, w := range m.Warnings {
			warnings.WriteString(w.String() + "\n")
		}
		if warnings.Len() > 0 {
			got["warnings.txt"] = warnings.String()
		}
		if slices.Contains(asked, "flat.aarch64.json") {
			m, err := manifest.Load(entry, manifest.Options{Arch: arch.AArch64})
			require.NoError(t, err)
			got["flat.aarch64.json"] = flat(t, m, left)
		}
		return got
	})
}

// addIdentity adds what a treefile must have and this one does not mention, and
// returns the keys.
func addIdentity(t *testing.T, path string) []string {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var added []string
	for _, must := range identity {
		if !bytes.Contains(text, []byte(must.key)) {
			text = append(text, must.line...)
			added = append(added, must.key)
		}
	}
	require.NoError(t, os.WriteFile(path, text, 0o644))
	return added
}

// flat is the treefile's JSON without some keys.
func flat(t *testing.T, m *manifest.Manifest, without []string) string {
	all := fields(t, m)
	for _, key := range without {
		delete(all, key)
	}
	return render(t, all)
}

// fields is the treefile's JSON as values.
func fields(t *testing.T, m *manifest.Manifest) map[string]any {
	data, err := m.JSON()
	require.NoError(t, err)
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var all map[string]any
	require.NoError(t, dec.Decode(&all))
	return all
}

// render writes JSON as the manifest does.
func render(t *testing.T, fields map[string]any) string {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	require.NoError(t, enc.Encode(fields))
	return out.String()
}
