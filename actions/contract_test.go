// Package actions holds all action.yml files to the same contract.
package actions

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/testkit/actiontest"
)

// names are the actions in the order of a pipeline.
var names = []string{"plan", "fetch", "build", "buildextend", "run-test"}

// files are all action.yml files; those that are no part of the one that does all
// come last.
func files() []string {
	list := []string{"../action.yml"}
	for _, name := range names {
		list = append(list, filepath.Join(name, "action.yml"))
	}
	found, _ := filepath.Glob("*/action.yml") // the pattern is right
	for _, file := range found {
		if !slices.Contains(list, file) {
			list = append(list, file)
		}
	}
	return list
}

func each(t *testing.T, check func(*testing.T, string, actiontest.Metadata)) {
	t.Helper()
	for _, file := range files() {
		t.Run(file, func(t *testing.T) { check(t, file, actiontest.Read(t, file)) })
	}
}

// A composite action gets no INPUT_* variables, so what is not mapped under env
// never arrives; act does set them, so only this test sees it.
func TestEveryInputIsMappedUnderEnv(t *testing.T) {
	each(t, func(t *testing.T, file string, m actiontest.Metadata) {
		mapped := map[string]bool{}
		for _, step := range programs(m) {
			program := strings.Fields(step.Run)[1]
			var got []string
			for variable, value := range step.Env {
				name := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(variable, "NOSA_INPUT_"), "_", "-"))
				require.Equal(t, action.InputVariable(name), variable)
				if value != "false" || name != "handoff" || file != "../action.yml" {
					require.Equal(t, fmt.Sprintf("${{ inputs.%s }}", name), value)
					mapped[name] = true
				}
				got = append(got, name)
			}
			// The program of a step asks for what its own action.yml declares;
			// main_test.go beside it holds it to that.
			want := slices.Sorted(maps.Keys(actiontest.Read(t, filepath.Join(program, "action.yml")).Inputs))
			require.ElementsMatch(t, want, got, program)
		}
		require.Equal(t, slices.Sorted(maps.Keys(m.Inputs)), slices.Sorted(maps.Keys(mapped)))
	})
}

func programs(m actiontest.Metadata) []actiontest.Step {
	return slices.DeleteFunc(slices.Clone(m.Runs.Steps), func(s actiontest.Step) bool { return s.Run == "" })
}

// Text pasted into a script could be run; values travel by env alone.
func TestNoExpressionStandsInAScript(t *testing.T) {
	each(t, func(t *testing.T, _ string, m actiontest.Metadata) {
		require.Equal(t, "composite", m.Runs.Using)
		for _, step := range programs(m) {
			require.NotContains(t, step.Run, "${{")
			require.Equal(t, "bash", step.Shell)
			require.Regexp(t, `^"\$GITHUB_ACTION_PATH/(\.\.|actions)/run\.sh" [a-z-]+$`, step.Run)
		}
	})
}

// pinned is a foreign action by commit, with its version for people.
var pinned = regexp.MustCompile(`uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)

func TestForeignActionsArePinnedByCommit(t *testing.T) {
	list := files()
	for _, pattern := range []string{"../.github/workflows/*.yml", "../examples/workflows/*.yml"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, found, pattern)
		list = append(list, found...)
	}
	for _, file := range list {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		for line := range strings.Lines(string(data)) {
			line = strings.TrimRight(line, "\n")
			if !strings.Contains(line, "uses: ") || strings.Contains(line, "uses: ./") || strings.Contains(line, "uses: nestos/nosa-actions") {
				continue
			}
			require.Regexp(t, pinned, line, file)
		}
	}
}

func TestEverythingIsDescribed(t *testing.T) {
	each(t, func(t *testing.T, _ string, m actiontest.Metadata) {
		require.NotEmpty(t, m.Name)
		require.NotEmpty(t, m.Description)
		for name, in := range m.Inputs {
			require.Regexp(t, `^[A-Z`+"`"+`].*\.$`, in.Description, name)
			require.NotNil(t, in.Required, name)
			require.NotNil(t, in.Default, name)
		}
		ids := map[string]bool{}
		for _, step := range m.Runs.Steps {
			ids[step.ID] = true
		}
		for name, out := range m.Outputs {
			require.Regexp(t, `^[A-Z`+"`"+`].*\.$`, out.Description, name)
			parts := regexp.MustCompile(`^\$\{\{ steps\.([a-z-]+)\.outputs\.([a-z0-9-]+) \}\}$`).FindStringSubmatch(out.Value)
			require.NotNil(t, parts, out.Value)
			require.True(t, ids[parts[1]], out.Value)
			require.Equal(t, name, parts[2])
		}
	})
}

func TestTheRootActionHasTheSameInputs(t *testing.T) {
	root := actiontest.Read(t, "../action.yml")
	for _, name := range names {
		for input, declared := range actiontest.Read(t, filepath.Join(name, "action.yml")).Inputs {
			if input == "handoff" || input == "retention-days" {
				continue
			}
			require.Equal(t, declared, root.Inputs[input], "%s of %s", input, name)
		}
	}
}
