package main

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/release/publish/githubtest"
	"github.com/nestos/nosa-actions/internal/testkit/actiontest"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"propose": main}) }

// server is the key of each script's own GitHub.
type server struct{}

func TestScripts(t *testing.T) {
	actiontest.Scripts(t, func(p *testscript.Params) {
		setup := p.Setup
		p.Setup = func(env *testscript.Env) error {
			tb, ok := env.T().(testing.TB)
			if !ok {
				return fmt.Errorf("not a test")
			}
			s := githubtest.New(tb, githubtest.Options{})
			env.Values[server{}] = s
			if err := setup(env); err != nil {
				return err
			}
			for name, value := range map[string]string{
				"GITHUB_API_URL": s.URL, "GITHUB_REPOSITORY": "nestos/demo", "NOSA_INPUT_TOKEN": githubtest.Token, "NOSA_INPUT_BASE": "main",
				"GITHUB_SHA": s.AddBranch("main", map[string]string{"README": "x"}),
			} {
				env.Setenv(name, value)
			}
			return nil
		}
		p.Cmds["github"] = github
	})
}

// github is the script command "github FILE": writes pull requests, comments and
// the branch.
func github(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(server{}).(*githubtest.Server)
	var b bytes.Buffer
	for _, p := range s.Pulls() {
		if !p.Open {
			b.WriteString("closed ")
		}
		fmt.Fprintf(&b, "%d %s from %s to %s\n%s", p.Number, p.Title, p.HeadRef, p.BaseRef, p.Body)
	}
	for _, c := range s.Comments() {
		fmt.Fprintf(&b, "\ncomment on %d: %s\n", c.Pull, c.Body)
	}
	c, _ := s.Branch("nosa/refresh-lockfile")
	for name, text := range c.Files {
		fmt.Fprintf(&b, "file %s %d\n", name, len(text))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o600))
}

func TestInputsAgreeWithActionYML(t *testing.T) {
	actiontest.InputsAgree(t, func(s *action.Step) error { return run(t.Context(), s) })
}
