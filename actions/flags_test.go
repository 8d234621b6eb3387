package actions

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit/actiontest"
	"github.com/nestos/nosa-actions/internal/tool"
)

var (
	flagOfHelp = regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z0-9-]+)`)
	noInputs   = regexp.MustCompile("(?m)^\\| (`[a-z].*?) \\| ")
	stageNamed = regexp.MustCompile("`([a-z ]+)`: ((?:`--[a-z0-9-]+`(?:, )?)+)")
	flagNamed  = regexp.MustCompile("`--([a-z0-9-]+)`")
)

// A flag that nosa gets later must become an input, or the documentation must say why
// it is none.
func TestEveryFlagIsAnInputOrSaidToBeNone(t *testing.T) {
	nosa := filepath.Join(actiontest.Build(t, "./cmd/nosa"), "nosa")
	none := without(t)
	for stage, dir := range map[string]string{
		"init": "../internal/job", "fetch": "fetch", "build": "build", "buildextend": "buildextend", "kola run": "run-test",
	} {
		var help strings.Builder
		_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: nosa, Args: append(strings.Fields(stage), "--help"), Stdout: &help})
		require.NoError(t, err)
		text, _, ok := strings.Cut(help.String(), "\nGlobal Flags:")
		require.True(t, ok)
		code := source(t, dir)
		var flags []string
		for _, match := range flagOfHelp.FindAllStringSubmatch(text, -1) {
			if flags = append(flags, match[1]); match[1] == "help" {
				continue
			}
			given := regexp.MustCompile(`"--` + match[1] + `["=]`).MatchString(code)
			require.NotEqual(t, given, slices.Contains(none[stage], match[1]),
				"nosa %s --%s is either given by an action or named in docs/actions/README.md as no input", stage, match[1])
		}
		require.Greater(t, len(flags), 3, stage)
		require.Subset(t, flags, none[stage], "docs/actions/README.md names a flag that nosa %s does not have", stage)
	}
}

// without are the flags that are no inputs, by stage, as the documentation has them.
func without(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../docs/actions/README.md")
	require.NoError(t, err)
	none := map[string][]string{}
	for _, row := range noInputs.FindAllStringSubmatch(string(text), -1) {
		for _, part := range stageNamed.FindAllStringSubmatch(row[1], -1) {
			for _, flag := range flagNamed.FindAllStringSubmatch(part[2], -1) {
				none[part[1]] = append(none[part[1]], flag[1])
			}
		}
	}
	require.Greater(t, len(none), 3)
	return none
}

// source is the code of a package, without its tests.
func source(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	var code strings.Builder
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			code.Write(text)
		}
	}
	return code.String()
}
