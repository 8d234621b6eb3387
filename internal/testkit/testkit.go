// Package testkit is what our tests share: needed tools and golden files.
package testkit

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/tool"
)

var update = flag.Bool("update", false, "rewrite the golden files of the tests that run")

// NeedTool skips the test if one of the programs is missing. Where
// NOSA_TEST_ALL is set, as in CI, a missing program fails it instead, so that a
// skip cannot hide for long.
func NeedTool(t testing.TB, names ...string) {
	t.Helper()
	if err := tool.Need(names...); err != nil {
		Miss(t, err.Error())
	}
}

// NeedRoot skips, or fails as NeedTool does, unless the test runs as root.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Miss(t, "needs root")
	}
}

// NeedFilesystem skips where the kernel knows no such file system: that, no package
// can mend.
func NeedFilesystem(t testing.TB, name string) {
	t.Helper()
	known, err := os.ReadFile("/proc/filesystems")
	require.NoError(t, err)
	if !slices.Contains(strings.Fields(string(known)), name) {
		t.Skip("this kernel does not know " + name)
	}
}

// Miss skips, or fails as NeedTool does, for want of what why names.
func Miss(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("NOSA_TEST_ALL") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// Golden compares got with the file testdata/NAME; with -update it writes it.
func Golden(t testing.TB, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the test with -update to make it")
	require.Equal(t, string(want), string(got))
}

// Section compares got with what stands in a document between the lines
// "<!-- NAME: made by a test -->" and "<!-- end of NAME -->"; with -update it
// writes it there.
func Section(t testing.TB, path, name, got string) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, begins := strings.Cut(string(data), "<!-- "+name+": made by a test -->\n")
	was, after, ends := strings.Cut(rest, "<!-- end of "+name+" -->\n")
	require.True(t, begins && ends, "%s has no section %s", path, name)
	if *update {
		text := before + "<!-- " + name + ": made by a test -->\n" + got + "<!-- end of " + name + " -->\n" + after
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return
	}
	require.Equal(t, was, got, "run the test with -update to write it anew")
}
