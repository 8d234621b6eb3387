package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/release/publish/githubtest"
	"github.com/nestos/nosa-actions/internal/testkit/actiontest"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"comment": main}) }

// server is the key of each script's own GitHub.
type server struct{}

const sha = "0123456789012345678901234567890123456789"

func TestScripts(t *testing.T) {
	actiontest.Scripts(t, func(p *testscript.Params) {
		setup := p.Setup
		p.Setup = func(env *testscript.Env) error {
			tb, ok := env.T().(testing.TB)
			if !ok {
				return fmt.Errorf("not a test")
			}
			s := githubtest.New(tb, githubtest.Options{})
			s.AddPull(githubtest.Pull{HeadRepo: "other/demo", HeadRef: "change", HeadSHA: sha, BaseRef: "main"})
			s.AddPull(githubtest.Pull{HeadRepo: "stranger/demo", HeadRef: "change", HeadSHA: sha, BaseRef: "main"})
			env.Values[server{}] = s
			if err := setup(env); err != nil {
				return err
			}
			for name, value := range map[string]string{
				"GITHUB_API_URL": s.URL, "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "nestos/demo",
				"NOSA_INPUT_TOKEN": githubtest.Token, "GITHUB_EVENT_PATH": filepath.Join(env.WorkDir, "event.json"),
			} {
				env.Setenv(name, value)
			}
			return nil
		}
		p.Cmds["artifact"], p.Cmds["comments"] = artifact, comments
	})
}

// artifact is the script command "artifact RUN FILE": the run left an artifact with
// this report.
func artifact(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: artifact RUN FILE")
	}
	id, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("report.json")
	ts.Check(err)
	_, err = w.Write([]byte(ts.ReadFile(args[1])))
	ts.Check(err)
	ts.Check(z.Close())
	ts.Value(server{}).(*githubtest.Server).AddArtifact(githubtest.Artifact{Run: id, Name: "nosa-report", Data: b.Bytes()})
}

// comments is the script command "comments FILE": writes what is on the pull
// requests.
func comments(ts *testscript.TestScript, neg bool, args []string) {
	var b bytes.Buffer
	for _, c := range ts.Value(server{}).(*githubtest.Server).Comments() {
		fmt.Fprintf(&b, "%d by %s: %s\n", c.Pull, c.Login, c.Body)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o600))
}

func TestInputsAgreeWithActionYML(t *testing.T) {
	actiontest.InputsAgree(t, func(s *action.Step) error { return run(t.Context(), s) })
}
