package testkit

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"
)

// Conformance runs every case DIR/*.txtar of a suite that is to be read as
// documentation: the first line of a case states a rule, its files show the rule
// in use, and the files called as in results are what must come of it.
//
// The files lie in a directory of their own, the current one, when run is
// called. It gets the names of the results that the case has and returns those
// there are. Lines that begin with "$ " prepare the files (ln, ln -s, chmod +x). With -update the results are written into the case; a result that
// no case asks for has to be put there once, empty.
func Conformance(t *testing.T, dir string, results []string, run func(t *testing.T, asked []string) map[string]string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			path, err := filepath.Abs(path)
			require.NoError(t, err)
			archive, err := txtar.ParseFile(path)
			require.NoError(t, err)
			rule, _, _ := strings.Cut(string(archive.Comment), "\n")
			require.Regexp(t, `^[A-Z].*[.:]$`, rule, "the first line must state the rule")

			want := map[string]string{}
			t.Chdir(t.TempDir())
			for _, f := range archive.Files {
				if slices.Contains(results, f.Name) {
					want[f.Name] = string(f.Data)
					continue
				}
				require.NoError(t, os.MkdirAll(filepath.Dir(f.Name), 0o755))
				require.NoError(t, os.WriteFile(f.Name, f.Data, 0o644))
			}
			prepare(t, string(archive.Comment))
			got := run(t, slices.Sorted(maps.Keys(want)))
			if *update {
				rewrite(t, path, archive, results, got)
				return
			}
			require.NotEmpty(t, want, "the case has no result; run the test with -update to see it")
			for _, name := range results {
				require.Equal(t, want[name], got[name], name)
			}
		})
	}
}

// prepare does what text files cannot say: links and modes.
func prepare(t *testing.T, comment string) {
	for line := range strings.Lines(comment) {
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue
		}
		words := strings.Fields(command)
		switch {
		case len(words) == 3 && words[0] == "ln":
			require.NoError(t, os.Link(words[1], words[2]))
		case len(words) == 4 && strings.HasPrefix(command, "ln -s "):
			require.NoError(t, os.Symlink(words[2], words[3]))
		case len(words) == 3 && strings.HasPrefix(command, "chmod +x "):
			require.NoError(t, os.Chmod(words[2], 0o755))
		default:
			t.Fatalf("%q is not one of ln, ln -s, chmod +x", command)
		}
	}
}

// rewrite puts the results into the case, after its other files.
func rewrite(t *testing.T, path string, archive *txtar.Archive, results []string, got map[string]string) {
	archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return slices.Contains(results, f.Name) })
	for _, name := range results {
		if text, ok := got[name]; ok {
			archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(text)})
		}
	}
	require.NoError(t, os.WriteFile(path, txtar.Format(archive), 0o644))
}
