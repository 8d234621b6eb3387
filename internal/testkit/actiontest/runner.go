package actiontest

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Runner runs the programs of actions in the way of GitHub's runner: each run
// step of an action.yml with bash, in an environment of its own, with what the
// step maps under env and with files for outputs and the rest. Steps that use
// actions of others are passed over.
type Runner struct {
	Root      string            // of this repository
	Programs  string            // directory with the programs
	Workspace string            // GITHUB_WORKSPACE, the current directory
	Temp      string            // RUNNER_TEMP
	Env       map[string]string // further variables of the job
	Context   map[string]string // values of expressions, such as github.token
	// Direct starts the programs without the scripts before them, which check the
	// machine first; for many runs.
	Direct bool
}

// Result is what a run of an action left.
type Result struct {
	Code    int
	Log     string            // standard output and error
	Outputs map[string]string // of all steps
	Summary string
	// Environment is what was written to the files that change the environment
	// of later steps: GITHUB_ENV, GITHUB_PATH and GITHUB_STATE.
	Environment string
}

// Commands are the workflow commands that the runner finds in the log.
func (r Result) Commands() []Command { return Commands(r.Log) }

// Errors are the messages of the error annotations.
func (r Result) Errors() []string {
	var list []string
	for _, c := range r.Commands() {
		if c.Name == "error" {
			list = append(list, c.Message)
		}
	}
	return list
}

var root = sync.OnceValue(func() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
})

// Build builds the programs of all actions into a directory, and nosa from the
// package given, or this test's own binary as nosa if there is none: then its
// TestMain must call Nosa when it is called by that name.
func Build(t testing.TB, nosa string) string {
	t.Helper()
	testkit.NeedRoot(t)
	dir := t.TempDir()
	args := []string{"build", "-tags", "containers_image_openpgp", "-o", dir + "/", "./actions/..."}
	if nosa != "" {
		args = append(args, nosa)
	}
	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "go", Args: args, Dir: root(), Env: []string{"CGO_ENABLED=0"}})
	require.NoError(t, err)
	if nosa == "" {
		self, err := os.Executable()
		require.NoError(t, err)
		require.NoError(t, os.Symlink(self, filepath.Join(dir, "nosa")))
	}
	return dir
}

// NewRunner makes a runner with an empty workspace below dir.
func NewRunner(t testing.TB, programs, dir string) *Runner {
	t.Helper()
	r := &Runner{
		Root: root(), Programs: programs, Workspace: filepath.Join(dir, "ws"), Temp: filepath.Join(dir, "temp"),
		Env: map[string]string{}, Context: map[string]string{},
	}
	for _, d := range []string{r.Workspace, r.Temp} {
		require.NoError(t, os.MkdirAll(d, 0o755))
	}
	return r
}

// Run runs the action of a directory, "." being the root action, with inputs
// beside the defaults of its action.yml.
func (r *Runner) Run(t testing.TB, name string, inputs map[string]string) Result {
	t.Helper()
	m := Read(t, filepath.Join(r.Root, name, "action.yml"))
	values := maps.Clone(r.Context)
	for input, declared := range m.Inputs {
		if declared.Default != nil {
			values["inputs."+input] = r.expand(*declared.Default, values)
		}
	}
	for input, value := range inputs {
		values["inputs."+input] = value
	}
	all := Result{Outputs: map[string]string{}}
	for _, step := range m.Runs.Steps {
		if step.Run == "" || !holds(step.If, values) || all.Code != 0 && !strings.Contains(step.If, "always()") {
			continue
		}
		one := r.step(t, name, step, values)
		for output, value := range one.Outputs {
			values["steps."+step.ID+".outputs."+output] = value
			all.Outputs[output] = value
		}
		all.Log += one.Log
		all.Summary += one.Summary
		all.Environment += one.Environment
		if all.Code == 0 {
			all.Code = one.Code
		}
	}
	return all
}

func (r *Runner) step(t testing.TB, name string, step Step, values map[string]string) Result {
	t.Helper()
	dir, err := os.MkdirTemp(r.Temp, "_runner_file_commands")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	env := map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": "/root", "CI": "true", "GITHUB_ACTIONS": "true",
		"GITHUB_ACTION_PATH": filepath.Join(r.Root, name), "GITHUB_WORKSPACE": r.Workspace, "RUNNER_TEMP": r.Temp,
		"NOSA_ACTIONS_BIN": r.Programs,
	}
	files := map[string]string{}
	for _, variable := range []string{"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE"} {
		files[variable] = filepath.Join(dir, variable)
		require.NoError(t, os.WriteFile(files[variable], nil, 0o666))
	}
	maps.Copy(env, files)
	maps.Copy(env, r.Env)
	for variable, value := range step.Env {
		env[variable] = r.expand(value, values)
	}
	command := []string{"bash", "--noprofile", "--norc", "-e", "-o", "pipefail", filepath.Join(dir, "script.sh")}
	if r.Direct {
		words := strings.Fields(step.Run)
		command = []string{filepath.Join(r.Programs, words[len(words)-1])}
	} else {
		require.NoError(t, os.WriteFile(command[len(command)-1], []byte(step.Run), 0o755))
	}
	// Env starts with nothing: what this test has in its environment is not the
	// job's.
	args := []string{"-i", "--"}
	for _, variable := range slices.Sorted(maps.Keys(env)) {
		args = append(args, variable+"="+env[variable])
	}
	var log strings.Builder
	_, err = tool.Host{}.Run(context.WithoutCancel(t.Context()), tool.Cmd{
		Name: "env", Args: append(args, command...),
		Dir: r.Workspace, Stdout: &log, Stderr: &log,
	})
	one := Result{Log: log.String(), Outputs: fileOutputs(t, read(t, files["GITHUB_OUTPUT"])), Summary: read(t, files["GITHUB_STEP_SUMMARY"])}
	one.Environment = read(t, files["GITHUB_ENV"]) + read(t, files["GITHUB_PATH"]) + read(t, files["GITHUB_STATE"])
	if err != nil {
		failed, ok := errors.AsType[*tool.Error](err)
		require.True(t, ok, err)
		one.Code = failed.ExitCode()
	}
	return one
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

var expression = regexp.MustCompile(`\$\{\{\s*(.*?)\s*\}\}`)

// expand puts in the values of expressions that are a name; others are empty.
func (r *Runner) expand(text string, values map[string]string) string {
	return expression.ReplaceAllStringFunc(text, func(found string) string {
		name := expression.FindStringSubmatch(found)[1]
		if name == "runner.temp" {
			return r.Temp
		}
		return values[name]
	})
}

var comparison = regexp.MustCompile(`^([\w.-]+) (==|!=) '([^']*)'$`)

// holds evaluates comparisons joined by &&; anything else is taken for true, so
// that no program is left out.
func holds(condition string, values map[string]string) bool {
	for part := range strings.SplitSeq(condition, "&&") {
		match := comparison.FindStringSubmatch(strings.TrimSpace(part))
		if match != nil && (values[match[1]] == match[3]) != (match[2] == "==") {
			return false
		}
	}
	return true
}

// fileOutputs reads a file of outputs by the runner's rules (FileCommandManager
// in github.com/actions/runner): "name=value", or "name<<delimiter", lines, and the
// delimiter.
func fileOutputs(t testing.TB, text string) map[string]string {
	t.Helper()
	set := map[string]string{}
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if line == "" {
			continue
		}
		equals, heredoc := strings.Index(line, "="), strings.Index(line, "<<")
		if equals >= 0 && (heredoc < 0 || equals < heredoc) {
			set[line[:equals]] = line[equals+1:]
			continue
		}
		require.Positive(t, heredoc, "the runner refuses the line %q", line)
		name, delimiter := line[:heredoc], line[heredoc+2:]
		var value []string
		for i++; i < len(lines) && lines[i] != delimiter; i++ {
			value = append(value, lines[i])
		}
		require.Less(t, i, len(lines), "the runner finds no end of %q", name)
		set[name] = strings.Join(value, "\n")
	}
	return set
}

// Command is a workflow command in a log.
type Command struct{ Name, Properties, Message string }

// known are the commands that the runner obeys.
var known = []string{
	"add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "notice", "remove-matcher",
	"save-state", "set-env", "set-output", "stop-commands", "warning",
}

// Commands finds workflow commands by the runner's rules (ActionCommand in
// github.com/actions/runner): a line that begins with "::NAME" after blanks, or, in
// the old form, has "##[NAME" anywhere.
func Commands(log string) []Command {
	var found []Command
	for _, line := range strings.FieldsFunc(log, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if head, message, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "::"), "::"); ok && strings.HasPrefix(strings.TrimSpace(line), "::") {
			name, properties, _ := strings.Cut(head, " ")
			if slices.Contains(known, name) {
				found = append(found, Command{name, properties, message})
				continue
			}
		}
		if _, rest, ok := strings.Cut(line, "##["); ok {
			head, message, _ := strings.Cut(rest, "]")
			name, properties, _ := strings.Cut(head, " ")
			if slices.Contains(known, strings.ToLower(name)) {
				found = append(found, Command{strings.ToLower(name), properties, message})
			}
		}
	}
	return found
}
