package publish

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/release"
	"github.com/nestos/nosa-actions/internal/release/publish/githubtest"
)

func TestAPlanThatGitHubCannotTakeIsRefusedBeforeAnyRequest(t *testing.T) {
	huge := filepath.Join(t.TempDir(), "huge.img")
	require.NoError(t, os.WriteFile(huge, nil, 0o644))
	require.NoError(t, os.Truncate(huge, 1<<31+1))
	for name, c := range map[string]struct {
		spoil func(*release.Plan)
		want  string
	}{
		"no tag":         {func(p *release.Plan) { p.Tag = "" }, "no tag given"},
		"a ref":          {func(p *release.Plan) { p.Tag = "refs/tags/v1" }, "without refs/tags/"},
		"no repository":  {func(p *release.Plan) { p.Repo = "" }, "OWNER/NAME"},
		"latest":         {func(p *release.Plan) { p.Latest = "yes" }, `latest is "yes": expected true, false or legacy`},
		"prerelease":     {func(p *release.Plan) { p.Prerelease, p.Latest = true, "true" }, "set latest to false"},
		"notes":          {func(p *release.Plan) { p.Notes = strings.Repeat("é", 125001) }, "125001 characters"},
		"nothing":        {func(p *release.Plan) { p.Assets = nil }, "no assets"},
		"too many":       {func(p *release.Plan) { p.Assets = make([]release.Asset, 1001) }, "1001 assets, GitHub takes 1000"},
		"twice":          {func(p *release.Plan) { p.Assets[1].Name = p.Assets[0].Name }, "two assets are called"},
		"name":           {func(p *release.Plan) { p.Assets[0].Name = "a b" }, "GitHub would change this name"},
		"dot":            {func(p *release.Plan) { p.Assets[0].Name = ".img" }, "GitHub would change this name"},
		"half":           {func(p *release.Plan) { p.Assets[0].Name = "nosa-half.img" }, "unfinished uploads"},
		"empty":          {func(p *release.Plan) { p.Assets[0].Size = 0 }, "no empty assets"},
		"2^31":           {func(p *release.Plan) { p.Assets[0].Path, p.Assets[0].Size = huge, 1<<31 }, "2147483648 bytes are too many"},
		"2^31+1":         {func(p *release.Plan) { p.Assets[0].Path, p.Assets[0].Size = huge, 1<<31+1 }, "split it"},
		"checksum":       {func(p *release.Plan) { p.Assets[0].SHA256 = "abc" }, "no SHA-256 checksum"},
		"no file":        {func(p *release.Plan) { p.Assets[0].Path += "x" }, "no such file"},
		"file too short": {func(p *release.Plan) { p.Assets[0].Offset = 1 << 20 }, "are needed"},
	} {
		t.Run(name, func(t *testing.T) {
			plan := samplePlan(t, 2)
			c.spoil(&plan)
			s := githubtest.New(t, githubtest.Options{})

			_, err := run(t, t.Context(), s, plan)

			require.ErrorContains(t, err, c.want)
			require.Empty(t, s.Calls())
		})
	}

	plan := samplePlan(t, 1)
	plan.Assets[0].Path, plan.Assets[0].Size, plan.Assets[0].Offset = huge, 1<<31-1, 2
	require.NoError(t, check(plan), "one byte less than 2 GiB")
}

func TestAllThatIsWrongIsToldAtOnce(t *testing.T) {
	plan := samplePlan(t, 2)
	plan.Tag, plan.Assets[0].Name, plan.Assets[1].Size = "", "ä", 0
	err := check(plan)
	require.Len(t, strings.Split(err.Error(), "\n"), 3)
}

func TestRefusalsSayWhatToDo(t *testing.T) {
	plan := samplePlan(t, 1)
	for name, c := range map[string]struct {
		options githubtest.Options
		spoil   func(*release.Plan, *Config, *githubtest.Server)
		want    string
	}{
		"no token": {spoil: func(_ *release.Plan, c *Config, _ *githubtest.Server) { c.Token = "" }, want: "permissions: contents: write"},
		"a wrong token": {
			spoil: func(_ *release.Plan, c *Config, _ *githubtest.Server) { c.Token = "old" },
			want:  "Bad credentials []: the token is wrong or has expired",
		},
		"a token that may only read": {options: githubtest.Options{ReadOnly: true}, want: `give the job "permissions: contents: write"`},
		"no tag":                     {options: githubtest.Options{Tags: []string{"v0"}}, want: "nestos/demo has no tag v1: push it first, or name the commit it shall be made of (target)"},
		"no repository": {
			spoil: func(p *release.Plan, _ *Config, _ *githubtest.Server) { p.Repo = "other" },
			want:  "there is no repository nestos/other, or the token may not see it",
		},
		"a tag used up": {
			options: githubtest.Options{Immutable: true},
			spoil: func(p *release.Plan, c *Config, s *githubtest.Server) {
				_, err := run(t, t.Context(), s, *p)
				require.NoError(t, err)
				s.Delete(s.Releases()[0].ID)
			},
			want: "an immutable release had the tag v1, which can never be used again; publish under a new tag",
		},
	} {
		t.Run(name, func(t *testing.T) {
			plan, s := plan, githubtest.New(t, c.options)
			cfg := Config{BaseURL: s.URL, Token: githubtest.Token}
			if c.spoil != nil {
				c.spoil(&plan, &cfg, s)
			}
			p, err := newPublisher(nil, cfg, plan, quick)
			if err == nil {
				_, err = p.publish(t.Context())
			}
			require.ErrorContains(t, err, c.want)
			for _, r := range s.Releases() {
				require.True(t, r.Draft)
			}
		})
	}
}

func TestATargetStandsInForATag(t *testing.T) {
	plan := samplePlan(t, 1)
	plan.Target = "main"
	s := githubtest.New(t, githubtest.Options{Tags: []string{"v0"}})
	_, err := run(t, t.Context(), s, plan)
	require.NoError(t, err)
	require.Equal(t, "main", requireOne(t, s, plan).Target)
}

func TestATagDeletedInTheMeantimeIsNotMadeUp(t *testing.T) {
	plan := samplePlan(t, 1)
	s := githubtest.New(t, githubtest.Options{})
	s.Fail(func(c githubtest.Call) *githubtest.Fault {
		if c.Operation == "repos/upload-release-asset" {
			s.DeleteTag("v1")
		}
		return nil
	})
	_, err := run(t, t.Context(), s, plan)
	require.ErrorContains(t, err, "has no tag v1")
	require.True(t, s.Releases()[0].Draft)
}

func TestAFileThatChangedAfterItWasPlannedIsNamed(t *testing.T) {
	plan := samplePlan(t, 1)
	s := githubtest.New(t, githubtest.Options{})
	data, err := os.ReadFile(plan.Assets[0].Path)
	require.NoError(t, err)
	data[7]++
	require.NoError(t, os.WriteFile(plan.Assets[0].Path, data, 0o644))
	_, err = run(t, t.Context(), s, plan)
	require.ErrorContains(t, err, plan.Assets[0].Path+" has changed")
	require.ErrorContains(t, err, "collect the release again")
}
