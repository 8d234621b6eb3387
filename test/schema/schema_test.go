// Package schema holds workflows and actions against GitHub's own parser and schemas,
// which GitHub publishes as npm packages.
package schema

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
)

// validator bundles the parser and returns what runs it on files.
func validator(t *testing.T) func(files ...string) (string, error) {
	t.Helper()
	if os.Getenv("NOSA_SCHEMA") == "" {
		t.Skip("fetches npm packages; make schema sets NOSA_SCHEMA")
	}
	testkit.NeedTool(t, "node", "npm")
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	dir := filepath.Join(root, ".cache", "schema")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	fresh := true
	for _, name := range []string{"package.json", "package-lock.json", "validate.mjs"} {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		old, err := os.ReadFile(filepath.Join(dir, name))
		fresh = fresh && err == nil && (string(old) == string(data) || name == "validate.mjs")
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", ".bin", "esbuild")); err != nil || !fresh {
		run(t, dir, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	}
	// Node 20 cannot import JSON as these packages do; one file each is what it can.
	run(t, dir, filepath.Join(dir, "node_modules", ".bin", "esbuild"), "validate.mjs", "--bundle", "--platform=node", "--format=esm", "--target=node20",
		"--log-level=error", "--outfile=bundle.mjs", "--banner:js=import{createRequire}from'module';const require=createRequire(import.meta.url);")
	return func(files ...string) (string, error) {
		out, err := exec.Command("node", append([]string{filepath.Join(dir, "bundle.mjs"), root}, files...)...).CombinedOutput()
		return string(out), err
	}
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

func TestGitHubFindsNothingWrong(t *testing.T) {
	validate := validator(t)
	var files []string
	for _, pattern := range []string{".github/workflows/*.yml", "examples/workflows/*.yml", "action.yml", "actions/*/action.yml"} {
		found, err := filepath.Glob(filepath.Join("../..", pattern))
		require.NoError(t, err)
		require.NotEmpty(t, found, pattern)
		for _, file := range found {
			path, err := filepath.Abs(file)
			require.NoError(t, err)
			files = append(files, path)
		}
	}

	out, err := validate(files...)

	require.NoError(t, err, out)
	require.Empty(t, out)
}

// The parser sees what it is there to see.
func TestWhatIsWrongIsFound(t *testing.T) {
	validate := validator(t)
	dir := t.TempDir()
	workflow := filepath.Join(dir, ".github", "workflows", "x.yml")
	action := filepath.Join(dir, "x", "action.yml")
	for path, text := range map[string]string{
		workflow: `on: push
jobs:
  a:
    runs-on: ubuntu-24.04
    timeout-minute: 3
    steps:
      - uses: ./.nosa/actions/fetch
        with:
          confg: .
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
        with:
          token: x
      - run: echo
        if: needs.b.result == 'x'
  b:
    uses: nestos/nosa-actions/.github/workflows/pull-request.yml@v1
    with:
      platfroms: qemu
`,
		action: `name: x
description: ${{ github.token }}
inputs:
  a:
    description: x
runs:
  using: composite
  steps:
    - run: echo
`,
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}

	out, err := validate(workflow, action)

	require.Error(t, err)
	for _, want := range []string{
		"Unexpected value 'timeout-minute'", "action input 'confg'", "action input 'token'", "platfroms is not defined",
		"Context access might be invalid: b", "Unrecognized named-value: 'github'", "Required property is missing: shell",
	} {
		require.Contains(t, out, want)
	}
	require.Equal(t, 7, strings.Count(out, "\n"), out)
}
