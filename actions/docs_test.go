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

	"github.com/nestos/nosa-actions/internal/format/document"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/testkit/actiontest"
	"github.com/nestos/nosa-actions/internal/tool"
)

// pages are the action.yml files and the page of each.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"../action.yml": "../docs/actions/pipeline.md"}
	found, err := filepath.Glob("*/action.yml")
	require.NoError(t, err)
	for _, file := range found {
		all[file] = "../docs/actions/" + filepath.Dir(file) + ".md"
	}
	return all
}

// Each action has a page, whose tables are those of its action.yml.
func TestTheDocumentationIsUpToDate(t *testing.T) {
	index, err := os.ReadFile("../docs/actions/README.md")
	require.NoError(t, err)
	for file, page := range pages(t) {
		require.FileExists(t, page, "%s has no page", file)
		require.Contains(t, string(index), "("+filepath.Base(page)+")")
		testkit.Section(t, page, "inputs and outputs", tables(actiontest.Read(t, file)))
	}
}

func tables(m actiontest.Metadata) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n| Input | Default | |\n|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(m.Inputs)) {
		in := m.Inputs[name]
		value := ""
		if *in.Default != "" {
			value = "`" + *in.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, value, in.Description)
	}
	fmt.Fprintf(&b, "\n| Output | |\n|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(m.Outputs)) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, m.Outputs[name].Description)
	}
	return b.String() + "\n"
}

// documents are all that a reader may copy from.
func documents(t *testing.T) []string {
	t.Helper()
	list := []string{"../README.md"}
	for _, pattern := range []string{"../docs/*.md", "../docs/*/*.md", "../examples/*/*.md"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		list = append(list, found...)
	}
	return list
}

// A block is code in a document.
type block struct {
	place string // file and line
	text  string
}

var fence = regexp.MustCompile("^( *)```([a-z]*)$")

// blocks are those of a language in all documents, without their indentation.
func blocks(t *testing.T, language string) []block {
	t.Helper()
	var all []block
	for _, path := range documents(t) {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		var open *block
		indent := ""
		for i, line := range strings.Split(string(data), "\n") {
			match := fence.FindStringSubmatch(line)
			switch {
			case match != nil && open == nil:
				open, indent = &block{place: fmt.Sprintf("%s:%d", path, i+1)}, match[1]
				if match[2] != language {
					open.place = ""
				}
			case match != nil:
				if open.place != "" {
					all = append(all, *open)
				}
				open = nil
			case open != nil:
				open.text += strings.TrimPrefix(line, indent) + "\n"
			}
		}
		require.Nil(t, open, "%s has a block without an end", path)
	}
	return all
}

// Every piece of a workflow in the documentation is one that GitHub takes, with
// inputs that our actions have.
func TestWorkflowsInTheDocumentationAreReal(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for _, b := range blocks(t, "yaml") {
		workflow, ok := asWorkflow(b.text)
		if !ok {
			continue
		}
		workflow = withNeeded(workflow)
		inputsExist(t, b.place, workflow)
		name := strings.NewReplacer("../", "", "/", "_", ":", "_").Replace(b.place) + ".yml"
		files = append(files, filepath.Join(dir, name))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(workflow), 0o644))
	}
	require.Greater(t, len(files), 5)
	var said strings.Builder
	args := []string{"tool", "-modfile=test/e2e/tools/go.mod", "actionlint", "-color=false", "-shellcheck=", "-pyflakes="}
	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "go", Dir: "..", Args: append(args, files...), Stdout: &said})
	require.NoError(t, err, said.String())
}

// asWorkflow puts around steps, jobs or a strategy what makes a workflow of them.
func asWorkflow(text string) (string, bool) {
	job := "    runs-on: ubuntu-24.04\n    timeout-minutes: 60\n"
	switch {
	case regexp.MustCompile(`(?m)^on:`).MatchString(text):
		return text, true
	case regexp.MustCompile(`(?m)^jobs:`).MatchString(text):
		return "on: push\n" + text, true
	case regexp.MustCompile(`(?m)^steps:`).MatchString(text):
		if !regexp.MustCompile(`(?m)^runs-on:`).MatchString(text) {
			text = strings.ReplaceAll(job, "    ", "") + text
		}
		return "on: push\njobs:\n  os:\n" + indent(text, "    "), true
	case strings.HasPrefix(text, "- "):
		return "on: push\njobs:\n  os:\n" + job + "    steps:\n" + indent(text, "      "), true
	}
	return "", false
}

var needs = regexp.MustCompile(`(?m)^    needs: ([a-z-]+)$`)

// withNeeded adds the jobs that a part of a workflow needs.
func withNeeded(workflow string) string {
	for _, match := range needs.FindAllStringSubmatch(workflow, -1) {
		if job := "\n  " + match[1] + ":\n"; !strings.Contains(workflow, job) {
			workflow += job + "    runs-on: ubuntu-24.04\n    steps:\n      - run: echo\n"
		}
	}
	return workflow
}

func indent(text, by string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(by + line)
	}
	return out.String()
}

var (
	ourAction   = regexp.MustCompile(`uses: nestos/nosa-actions(/actions/[a-z-]+)?@`)
	ourWorkflow = regexp.MustCompile(`uses: nestos/nosa-actions/(\.github/workflows/[a-z-]+\.yml)@`)
)

// callable are the inputs of a workflow that others may call.
func callable(t *testing.T, file string) map[string]actiontest.Input {
	t.Helper()
	workflow, err := document.Load(file)
	require.NoError(t, err)
	call, _ := called(workflow)
	inputs, _ := call.Get("inputs")
	declared := map[string]actiontest.Input{}
	for _, field := range inputs.Fields {
		declared[field.Key] = actiontest.Input{}
	}
	return declared
}

// inputsExist holds what stands under with to the action that is used; actionlint
// does so for the actions that it knows.
func inputsExist(t *testing.T, place, workflow string) {
	t.Helper()
	var declared map[string]actiontest.Input
	under := 0
	for line := range strings.Lines(workflow) {
		line = strings.TrimRight(line, "\n")
		depth := len(line) - len(strings.TrimLeft(line, " "))
		trimmed := strings.TrimSpace(line)
		if match := ourAction.FindStringSubmatch(line); match != nil {
			declared = actiontest.Read(t, filepath.Join("..", match[1], "action.yml")).Inputs
			under = 0
			continue
		}
		if match := ourWorkflow.FindStringSubmatch(line); match != nil {
			declared, under = callable(t, filepath.Join("..", match[1])), 0
			continue
		}
		switch {
		case strings.HasPrefix(trimmed, "- "):
			declared, under = nil, 0
		case trimmed == "with:":
			under = depth
		case under > 0 && depth <= under && trimmed != "":
			under = 0
		case declared != nil && under > 0 && depth == under+2 && trimmed != "" && trimmed[0] != '#':
			name, _, _ := strings.Cut(trimmed, ":")
			require.Contains(t, declared, name, "%s: %s", place, line)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

func TestLinksInTheDocumentationLeadSomewhere(t *testing.T) {
	for _, path := range documents(t) {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, match := range link.FindAllStringSubmatch(string(data), -1) {
			target := filepath.Join(filepath.Dir(path), match[1])
			_, err := os.Stat(target)
			require.NoError(t, err, "%s: %s", path, match[0])
		}
	}
}
