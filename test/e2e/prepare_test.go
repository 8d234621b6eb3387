package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/test/artifacts"
)

// prepare builds the runner and the stand-ins for the actions that cannot be
// had here. What takes time is kept in .cache/e2e.
func prepare(t *testing.T) act {
	t.Helper()
	if os.Getenv("NOSA_E2E") == "" {
		t.Skip("takes minutes and downloads a runner; make e2e sets NOSA_E2E")
	}
	testkit.NeedTool(t, "git", "go", "node", "npm")
	testkit.NeedRoot(t)
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	a := act{
		root:      root,
		state:     filepath.Join(root, ".cache", "e2e"),
		actions:   t.TempDir(),
		artifacts: t.TempDir(),
		cache:     t.TempDir(),
	}
	require.NoError(t, os.MkdirAll(a.state, 0o755))
	a.binary = filepath.Join(a.state, "act")
	do(t, filepath.Join(root, "test", "e2e", "tools"), "go", "build", "-o", a.binary, "github.com/nektos/act")
	require.NoError(t, artifacts.Bundle(t.Context(), a.root, a.state, a.actions))
	return a
}

func do(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: name, Args: args, Dir: dir, Stdout: os.Stderr, Stderr: os.Stderr})
	require.NoError(t, err)
}

// pins are the commits that our workflows and actions pin an action to.
func pins(t *testing.T, root, action string) []string {
	t.Helper()
	uses := regexp.MustCompile(regexp.QuoteMeta("uses: "+action) + `(?:/[\w-]+)*@([0-9a-f]{40})`)
	refs := map[string]bool{}
	for _, pattern := range []string{".github/workflows/*.yml", "examples/workflows/*.yml", "actions/*/action.yml", "action.yml", "test/e2e/testdata/*.yml"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		for _, file := range files {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range uses.FindAllSubmatch(data, -1) {
				refs[string(m[1])] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(refs))
}
