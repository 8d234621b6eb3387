package imageconf_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/imageconf"
	"github.com/nestos/nosa-actions/internal/testkit"
)

// TestConformance reads testdata/conformance as its README.md says.
func TestConformance(t *testing.T) {
	none, err := imageconf.Parse([]byte("{}"))
	require.NoError(t, err)
	defaults := values(t, none)
	results := []string{"image.json", "warnings.txt", "error.txt"}
	testkit.Conformance(t, "testdata/conformance", results, func(t *testing.T, _ []string) map[string]string {
		c, err := imageconf.Load("image.yaml")
		if err != nil {
			require.NotEmpty(t, diag.Findings(err))
			return map[string]string{"error.txt": err.Error() + "\n"}
		}
		all := values(t, c)
		require.Equal(t, imageconf.GrubScript, all["grub-script"])
		delete(all, "grub-script")
		if !strings.HasSuffix(t.Name(), "/defaults") {
			leaveOut(all, defaults)
		}
		got := map[string]string{"image.json": render(t, all)}
		for _, w := range c.Warnings {
			got["warnings.txt"] += w.String() + "\n"
		}
		return got
	})
}

// values is the configuration as its JSON says it.
func values(t *testing.T, c *imageconf.Config) map[string]any {
	data, err := c.JSON()
	require.NoError(t, err)
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var all map[string]any
	require.NoError(t, dec.Decode(&all))
	return all
}

// leaveOut drops what is as it would be anyway.
func leaveOut(all, defaults map[string]any) {
	for key, value := range defaults {
		if reflect.DeepEqual(all[key], value) {
			delete(all, key)
		}
	}
}

func render(t *testing.T, all map[string]any) string {
	data, err := json.MarshalIndent(all, "", "  ")
	require.NoError(t, err)
	return string(data) + "\n"
}

// FuzzLoad reads image.yaml and its includes from a txtar archive, of which the
// conformance cases are the first: whatever it holds ends in JSON that Parse
// reads, or in findings.
func FuzzLoad(f *testing.F) {
	cases, err := filepath.Glob("testdata/conformance/*.txtar")
	require.NoError(f, err)
	require.NotEmpty(f, cases)
	for _, path := range cases {
		data, err := os.ReadFile(path)
		require.NoError(f, err)
		if len(data) < 2000 { // not the one of fifty files
			f.Add(data)
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		require.NoError(t, os.RemoveAll(dir))
		for i, file := range txtar.Parse(data).Files {
			path := filepath.Join(dir, file.Name)
			if i > 8 || !filepath.IsLocal(file.Name) || os.MkdirAll(filepath.Dir(path), 0o755) != nil ||
				os.WriteFile(path, file.Data, 0o644) != nil {
				return
			}
		}
		c, err := imageconf.Load(filepath.Join(dir, "image.yaml"))
		if err != nil {
			require.NotEmpty(t, diag.Findings(err))
			return
		}
		out, err := c.JSON()
		require.NoError(t, err)
		_, err = imageconf.Parse(out)
		require.NoError(t, err)
	})
}

// FuzzPlatforms reads platforms.yaml.
func FuzzPlatforms(f *testing.F) {
	f.Add([]byte("x86_64:\n  qemu:\n    grub_commands: [serial]\n    kernel_arguments: [console=tty0]\n  metal:\n"))
	f.Add([]byte("x86_64: [a]\naarch64: {qemu: {grub_command: 1}}\n"))
	path := filepath.Join(f.TempDir(), "platforms.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		require.NoError(t, os.WriteFile(path, data, 0o644))
		p, err := imageconf.LoadPlatforms(path)
		if err != nil {
			require.NotEmpty(t, diag.Findings(err))
			return
		}
		require.NotNil(t, p)
	})
}
