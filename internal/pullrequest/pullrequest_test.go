package pullrequest

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/release/publish/githubtest"
)

const sha = "0123456789012345678901234567890123456789"

func client(t *testing.T, o githubtest.Options) (*githubtest.Server, *Client) {
	t.Helper()
	s := githubtest.New(t, o)
	c, err := New(Config{BaseURL: s.URL, Token: githubtest.Token, Repository: "nestos/demo"})
	require.NoError(t, err)
	return s, c
}

func run() Run {
	r := Run{ID: 77, Event: "pull_request", HeadSHA: sha, HeadBranch: "change"}
	r.HeadRepo.FullName, r.HeadRepo.Owner.Login = "stranger/demo", "stranger"
	return r
}

// The pull request is the one whose newest commit GitHub says the run was for.
func TestARunFindsItsPullRequest(t *testing.T) {
	right := githubtest.Pull{HeadRepo: "stranger/demo", HeadRef: "change", HeadSHA: sha, BaseRef: "main"}
	for name, c := range map[string]struct {
		change func(*githubtest.Pull, *Run)
		found  bool
	}{
		"the same":             {func(*githubtest.Pull, *Run) {}, true},
		"a newer commit":       {func(p *githubtest.Pull, _ *Run) { p.HeadSHA = strings.Repeat("f", 40) }, false},
		"another branch":       {func(p *githubtest.Pull, _ *Run) { p.HeadRef = "other" }, false},
		"another fork":         {func(p *githubtest.Pull, _ *Run) { p.HeadRepo = "other/demo" }, false},
		"another of the owner": {func(p *githubtest.Pull, _ *Run) { p.HeadRepo = "stranger/else" }, false},
		"no fork any more":     {func(_ *githubtest.Pull, r *Run) { r.HeadRepo.Owner.Login, r.HeadRepo.FullName = "", "" }, false},
		"a branch with signs":  {func(p *githubtest.Pull, r *Run) { p.HeadRef = "a&b=c#/$(x)"; r.HeadBranch = p.HeadRef }, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, api := client(t, githubtest.Options{})
			for i := range 120 { // more than a page
				s.AddPull(githubtest.Pull{HeadRepo: "stranger/demo", HeadRef: "change", HeadSHA: fmt.Sprintf("%040d", i), BaseRef: "main"})
			}
			p, r := right, run()
			c.change(&p, &r)
			added := s.AddPull(p)

			number, err := api.Find(t.Context(), r)

			require.NoError(t, err)
			if c.found {
				require.Equal(t, added.Number, number)
			} else {
				require.Zero(t, number)
			}
		})
	}
}

func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		w, err := z.Create(name)
		require.NoError(t, err)
		_, err = io.WriteString(w, text)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return b.Bytes()
}

func TestAFileOfAnArtifactIsRead(t *testing.T) {
	s, api := client(t, githubtest.Options{})
	s.AddArtifact(githubtest.Artifact{Run: 77, Name: "nosa-report", Data: archive(t, map[string]string{"report.json": "old"})})
	s.AddArtifact(githubtest.Artifact{Run: 77, Name: "nosa-report", Data: archive(t, map[string]string{"report.md": "x", "report.json": "new"})})
	s.AddArtifact(githubtest.Artifact{Run: 78, Name: "nosa-report", Data: archive(t, map[string]string{"report.json": "of another run"})})
	var got string

	err := api.Artifact(t.Context(), run(), "nosa-report", "report.json", func(in io.Reader) error {
		data, err := io.ReadAll(in)
		got = string(data)
		return err
	})

	require.NoError(t, err)
	require.Equal(t, "new", got)
}

func TestArtifactsThatAreWrongAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		artifact githubtest.Artifact
		says     string
	}{
		"none":          {githubtest.Artifact{Run: 1}, "left no such artifact"},
		"expired":       {githubtest.Artifact{Run: 77, Expired: true}, "left no such artifact"},
		"said too long": {githubtest.Artifact{Run: 77, Size: maxArchive + 1}, "has 8388609 bytes; at most 8388608 are read"},
		"too long":      {githubtest.Artifact{Run: 77, Size: 100, Data: make([]byte, maxArchive+1)}, "more than 8388608 bytes"},
		"no archive":    {githubtest.Artifact{Run: 77, Data: []byte("nothing")}, "not a valid zip file"},
		"no such file":  {githubtest.Artifact{Run: 77, Data: archive(t, map[string]string{"x/report.json": "x"})}, "has no file report.json"},
	} {
		t.Run(name, func(t *testing.T) {
			s, api := client(t, githubtest.Options{})
			c.artifact.Name = "nosa-report"
			s.AddArtifact(c.artifact)
			err := api.Artifact(t.Context(), run(), "nosa-report", "report.json", func(io.Reader) error { return errors.New("read") })
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestThereIsOneComment(t *testing.T) {
	s, api := client(t, githubtest.Options{})
	s.AddPull(githubtest.Pull{HeadRepo: "stranger/demo"})
	for i := range 150 {
		s.AddComment(githubtest.Comment{Pull: 1, Login: "stranger", Body: fmt.Sprintf("<!-- m -->\nforged %d", i)})
	}

	first, err := api.Comment(t.Context(), 1, githubtest.Bot, "<!-- m -->", "one")
	require.NoError(t, err)
	second, err := api.Comment(t.Context(), 1, githubtest.Bot, "<!-- m -->", "two")
	require.NoError(t, err)

	require.Equal(t, first, second)
	all := s.Comments()
	require.Len(t, all, 151)
	require.Equal(t, "<!-- m -->\ntwo", all[150].Body)
	require.Equal(t, "<!-- m -->\nforged 149", all[149].Body, "of others")

	_, err = api.Comment(t.Context(), 1, githubtest.Bot, "<!-- other -->", "three")
	require.NoError(t, err)
	require.Len(t, s.Comments(), 152)
}

func TestAMissingRightIsNamed(t *testing.T) {
	s, api := client(t, githubtest.Options{ReadOnly: true})
	s.AddPull(githubtest.Pull{HeadRepo: "stranger/demo"})
	_, err := api.Comment(t.Context(), 1, githubtest.Bot, "<!-- m -->", "one")
	require.ErrorContains(t, err, "the job needs permissions: pull-requests: write")
	_, err = api.Propose(t.Context(), Proposal{Base: "main", Commit: s.AddBranch("main", nil), Branch: "b", Title: "t", Files: map[string][]byte{"f": nil}})
	require.ErrorContains(t, err, "the job needs permissions: contents: write")
}

func TestReadingIsRepeatedAndWritingIsNot(t *testing.T) {
	s, api := client(t, githubtest.Options{})
	s.AddPull(githubtest.Pull{HeadRepo: "stranger/demo", HeadRef: "change", HeadSHA: sha})
	s.Fail(func(c githubtest.Call) *githubtest.Fault {
		if c.N <= 2 {
			return &githubtest.Fault{Status: 502}
		}
		return nil
	})
	number, err := api.Find(t.Context(), run())
	require.NoError(t, err)
	require.Equal(t, 1, number)
	require.Len(t, s.Calls(), 3)

	s.Forget()
	s.Fail(func(c githubtest.Call) *githubtest.Fault {
		if c.Method == "POST" {
			return &githubtest.Fault{Status: 502}
		}
		return nil
	})
	_, err = api.Comment(t.Context(), 1, githubtest.Bot, "<!-- m -->", "one")
	require.Error(t, err)
	require.Len(t, s.Calls(), 2)
}

func TestFilesAreProposedOnce(t *testing.T) {
	s, api := client(t, githubtest.Options{})
	base := s.AddBranch("main", map[string]string{"README": "x", "lock.json": "old"})
	p := Proposal{Base: "main", Commit: base, Branch: "nosa/refresh", Title: "lockfile: refresh", Body: "vim 1", Files: map[string][]byte{"lock.json": []byte("new")}}

	made, err := api.Propose(t.Context(), p)
	require.NoError(t, err)
	require.True(t, made.New && made.Pushed)
	got, _ := s.Branch("nosa/refresh")
	require.Equal(t, map[string]string{"README": "x", "lock.json": "new"}, got.Files)
	require.Equal(t, []string{base}, got.Parents)
	require.Equal(t, "https://github.com/nestos/demo/pull/1", made.URL)

	again, err := api.Propose(t.Context(), p)
	require.NoError(t, err)
	require.False(t, again.New || again.Pushed)

	// The day after there is more, on a newer commit: the same pull request.
	p.Commit = s.AddBranch("main", map[string]string{"README": "y", "lock.json": "old"})
	p.Files, p.Body = map[string][]byte{"lock.json": []byte("newer")}, "vim 2"
	next, err := api.Propose(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, made.Number, next.Number)
	require.True(t, next.Pushed && !next.New)
	got, _ = s.Branch("nosa/refresh")
	require.Equal(t, "newer", got.Files["lock.json"])
	require.Equal(t, "y", got.Files["README"])
	require.Len(t, s.Pulls(), 1)
	require.Equal(t, "vim 2", s.Pulls()[0].Body)
}

func TestASettingThatForbidsPullRequestsIsNamed(t *testing.T) {
	s, api := client(t, githubtest.Options{NoPulls: true})
	base := s.AddBranch("main", nil)
	_, err := api.Propose(t.Context(), Proposal{Base: "main", Commit: base, Branch: "b", Title: "t", Files: map[string][]byte{"f": []byte("x")}})
	require.ErrorContains(t, err, "allow it under Settings, Actions, General")
	_, err = api.Propose(t.Context(), Proposal{Base: "main", Commit: base, Branch: "main"})
	require.ErrorContains(t, err, "cannot be proposed to itself")
}

func TestEventsOfOtherKindsAreRefused(t *testing.T) {
	for _, text := range []string{`{}`, `{"workflow_run": {}}`, `nothing`} {
		path := filepath.Join(t.TempDir(), "event.json")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := ReadEvent(path)
		require.Error(t, err)
	}
}

func TestACommitIsTaggedOnce(t *testing.T) {
	s, api := client(t, githubtest.Options{})
	base := s.AddBranch("main", map[string]string{"README": "x"})
	files := map[string][]byte{"actions/binaries": []byte("sums")}

	sha, err := api.TagCommit(t.Context(), "v1.2.3", base, "release v1.2.3", files)
	require.NoError(t, err)
	again, err := api.TagCommit(t.Context(), "v1.2.3", base, "release v1.2.3", files)
	require.NoError(t, err)
	require.Equal(t, sha, again)
	tagged, commit := s.Tag("v1.2.3")
	require.Equal(t, sha, tagged)
	require.Equal(t, map[string]string{"README": "x", "actions/binaries": "sums"}, commit.Files)
	main, _ := s.Branch("main")
	require.NotContains(t, main.Files, "actions/binaries", "the branch stays as it is")

	_, err = api.TagCommit(t.Context(), "v1.2.3", base, "release v1.2.3", map[string][]byte{"actions/binaries": []byte("others")})
	require.ErrorContains(t, err, "tag v1.2.3 is there already, as commit "+sha)

	for _, to := range []string{sha, base, base} {
		require.NoError(t, api.MoveTag(t.Context(), "v9", to))
		got, _ := s.Tag("v9")
		require.Equal(t, to, got)
	}
}
