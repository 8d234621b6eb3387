// Package actiontest tests the programs of actions as the runner runs them:
// their real main in a script, with a nosa that records how it was called.
package actiontest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/format/document"
	"github.com/nestos/nosa-actions/internal/handoff"
)

// Metadata is what tests want to know of an action.yml.
type Metadata struct {
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Inputs      map[string]Input  `json:"inputs"`
	Outputs     map[string]Output `json:"outputs"`
	Runs        struct {
		Using string `json:"using"`
		Steps []Step `json:"steps"`
	} `json:"runs"`
}

// Input is a declared input.
type Input struct {
	Description string  `json:"description"`
	Required    *bool   `json:"required"`
	Default     *string `json:"default"`
}

// Output is a declared output.
type Output struct {
	Description string `json:"description"`
	Value       string `json:"value"`
}

// Step is a step of a composite action.
type Step struct {
	ID    string            `json:"id"`
	If    string            `json:"if"`
	Uses  string            `json:"uses"`
	Shell string            `json:"shell"`
	Run   string            `json:"run"`
	Env   map[string]string `json:"env"`
	With  map[string]any    `json:"with"`
}

// Read reads an action.yml.
func Read(t testing.TB, path string) Metadata {
	t.Helper()
	node, err := document.Load(path)
	require.NoError(t, err)
	data, err := json.Marshal(node.Any())
	require.NoError(t, err)
	var m Metadata
	require.NoError(t, json.Unmarshal(data, &m), path)
	return m
}

// InputsAgree checks that a program asks for exactly the inputs that the
// action.yml beside it declares.
func InputsAgree(t *testing.T, program func(*action.Step) error) {
	t.Helper()
	var declared []string
	for name := range Read(t, "action.yml").Inputs {
		declared = append(declared, name)
	}
	slices.Sort(declared)
	var out strings.Builder
	step := action.New(func(string) (string, bool) { return "", false }, &out)

	err := program(step) // fails on the inputs, having read all of them

	require.Error(t, err)
	require.Equal(t, declared, step.InputNames())
}

// Scripts runs testdata/script/*.txtar with the environment of a runner: a
// workspace, a temporary directory, and the files for outputs and summary. More
// setup and commands come by changing the parameters.
func Scripts(t *testing.T, change ...func(*testscript.Params)) {
	t.Helper()
	p := testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"pack": pack, "unpack": unpack, "outputs": outputs},
		Condition:           condition,
	}
	for _, c := range change {
		c(&p)
	}
	testscript.Run(t, p)
}

// condition is the script condition "[kvm]": this machine can run guests at full speed.
func condition(name string) (bool, error) {
	if name != "kvm" {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return false, nil //nolint:nilerr // that is the answer
	}
	return true, f.Close()
}

func setup(env *testscript.Env) error {
	workspace, temp := filepath.Join(env.WorkDir, "ws"), filepath.Join(env.WorkDir, "temp")
	for _, dir := range []string{workspace, temp} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	host, err := arch.Host()
	if err != nil {
		return err
	}
	env.Setenv("ARCH", host.RPM)
	env.Setenv("GITHUB_WORKSPACE", workspace)
	env.Setenv("RUNNER_TEMP", temp)
	env.Setenv("GITHUB_OUTPUT", filepath.Join(env.WorkDir, "output"))
	env.Setenv("GITHUB_STEP_SUMMARY", filepath.Join(env.WorkDir, "summary.md"))
	env.Setenv("GITHUB_TOKEN", "s3cret")
	env.Setenv("ACTIONS_RUNTIME_TOKEN", "s3cret")
	for name, in := range readSetup(env).Inputs {
		value := ""
		if in.Default != nil {
			value = *in.Default
		}
		env.Setenv(action.InputVariable(name), value)
	}
	return nil
}

func readSetup(env *testscript.Env) Metadata {
	t, ok := env.T().(testing.TB)
	if !ok {
		panic("testscript runs outside of a test")
	}
	return Read(t, "action.yml")
}

// pack is the script command "pack KIND ARTIFACT DIR PATH...": what another job
// made lies there, as if it had been downloaded.
func pack(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: pack KIND ARTIFACT DIR PATH...")
	}
	file := filepath.Join(ts.Getenv("RUNNER_TEMP"), "nosa-in", args[1]+".tar.zst")
	ts.Check(os.MkdirAll(filepath.Dir(file), 0o755))
	_, err := handoff.PackFile(context.Background(), file, ts.MkAbs(args[2]), handoff.PackOptions{
		Kind: args[0], Arch: ts.Getenv("ARCH"), Paths: args[3:],
	})
	ts.Check(err)
}

// unpack is the script command "unpack PACK DIR".
func unpack(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: unpack PACK DIR")
	}
	dir := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(dir, 0o755))
	_, err := handoff.UnpackFile(context.Background(), ts.MkAbs(args[0]), dir, handoff.UnpackOptions{})
	ts.Check(err)
}

// outputs is the script command "outputs NAME=VALUE...": the step set these
// outputs, and maybe others.
func outputs(ts *testscript.TestScript, neg bool, args []string) {
	set := ParseOutputs(ts.ReadFile(ts.Getenv("GITHUB_OUTPUT")))
	for _, arg := range args {
		name, want, _ := strings.Cut(arg, "=")
		if got, ok := set[name]; (ok && got == want) == neg {
			ts.Fatalf("output %s is %q", name, got)
		}
	}
}

// ParseOutputs reads the file that a step sets its outputs in; none has a line
// break.
func ParseOutputs(text string) map[string]string {
	lines := strings.Split(text, "\n")
	set := map[string]string{}
	for i, line := range lines {
		if name, _, ok := strings.Cut(line, "<<"); ok && i+1 < len(lines) {
			set[name] = lines[i+1]
		}
	}
	return set
}
