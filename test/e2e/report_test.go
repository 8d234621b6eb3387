package e2e

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/release/publish/githubtest"
	"github.com/nestos/nosa-actions/internal/report"
	"github.com/nestos/nosa-actions/internal/tool"
)

// gitHub is a stand-in for the API, held against GitHub's description of it, and what
// makes a workflow talk to it.
func gitHub(t *testing.T, o githubtest.Options) (*githubtest.Server, map[string]string) {
	t.Helper()
	s := githubtest.New(t, o)
	return s, map[string]string{"GITHUB_API_URL": s.URL, "GITHUB_SERVER_URL": "https://github.com"}
}

// TestTheReportComesToThePullRequest runs report.yml as GitHub does when the run of a
// pull request has ended. The run belonged to a stranger.
func TestTheReportComesToThePullRequest(t *testing.T) {
	runner := prepare(t)
	s, env := gitHub(t, githubtest.Options{Owner: "nestos", Repo: "nosa-actions"})
	sha := strings.Repeat("0123456789", 4)
	s.AddPull(githubtest.Pull{HeadRepo: "nestos/nosa-actions", HeadRef: "change", HeadSHA: sha, BaseRef: "main"})
	pull := s.AddPull(githubtest.Pull{HeadRepo: "stranger/nosa-actions", HeadRef: "change", HeadSHA: sha, BaseRef: "main"})
	data, err := report.Run{
		Build: "12.1</code><script>", Jobs: []report.Job{{Name: "run-test", Result: "failure"}},
		Suites: []report.Suite{{Name: "nosa-test-x86_64", Passed: 3, Failed: []report.Test{{Name: "$(touch /tmp/nosa-e2e-report)", Output: "::error::x\n@all"}}}},
	}.JSON()
	require.NoError(t, err)
	var artifact bytes.Buffer
	z := zip.NewWriter(&artifact)
	w, err := z.Create("report.json")
	require.NoError(t, err)
	_, err = w.Write(data)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	s.AddArtifact(githubtest.Artifact{Run: 77, Name: "nosa-report", Data: artifact.Bytes()})

	result := runner.run(t, job{
		workflow: ".github/workflows/report.yml", event: "workflow_run", env: env, token: githubtest.Token,
		payload: map[string]any{"action": "completed", "workflow_run": map[string]any{
			"id": 77, "name": "pull-request", "event": "pull_request", "conclusion": "failure", "head_sha": sha, "head_branch": "change",
			"head_repository": map[string]any{"full_name": "stranger/nosa-actions", "owner": map[string]any{"login": "stranger"}},
		}},
	})

	require.Equal(t, map[string]string{"comment": "success"}, result.jobs)
	comments := s.Comments()
	require.Len(t, comments, 1)
	require.Equal(t, pull.Number, comments[0].Pull)
	require.Contains(t, comments[0].Body, "ended with **failure**")
	require.NotContains(t, comments[0].Body, "<script>")
	require.NoFileExists(t, "/tmp/nosa-e2e-report")
}

// TestTheLockfileIsProposed runs refresh-lockfile.yml on a config that has none yet.
func TestTheLockfileIsProposed(t *testing.T) {
	runner := prepare(t)
	s, env := gitHub(t, githubtest.Options{Owner: "nestos", Repo: "nosa-actions"})
	// To act, the commit of the run is the one that is checked out.
	head, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "git", Args: []string{"-c", "safe.directory=*", "rev-parse", "HEAD"}})
	require.NoError(t, err)
	s.AddBranchAt("main", strings.TrimSpace(string(head)), map[string]string{"README.md": "x"})
	env["GITHUB_REF_NAME"] = "main"

	result := runner.run(t, job{
		workflow: ".github/workflows/refresh-lockfile.yml", event: "workflow_dispatch", env: env, token: githubtest.Token,
		payload: map[string]any{"ref": "refs/heads/main", "repository": map[string]any{"full_name": "nestos/nosa-actions", "default_branch": "main"}},
	})

	require.Equal(t, map[string]string{"fetch": "success", "propose": "success"}, result.jobs)
	pulls := s.Pulls()
	require.Len(t, pulls, 1)
	require.Equal(t, "nosa/refresh-lockfile", pulls[0].HeadRef)
	require.Equal(t, "main", pulls[0].BaseRef)
	require.Regexp(t, `\| bash \| Added \|`, pulls[0].Body)
	commit, _ := s.Branch("nosa/refresh-lockfile")
	require.Len(t, commit.Files, 2)
	require.Contains(t, commit.Files, "README.md")
}

// TestCachesAreKept holds the stand-ins for actions/cache to what ours rely on.
func TestCachesAreKept(t *testing.T) {
	runner := prepare(t)
	result := runner.run(t, job{workflow: "test/e2e/testdata/cache.yml", event: "push", payload: map[string]any{}})
	require.Equal(t, map[string]string{"save": "success", "restore": "success"}, result.jobs)
}
