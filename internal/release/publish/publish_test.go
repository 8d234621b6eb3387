package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/release"
	"github.com/nestos/nosa-actions/internal/release/publish/githubtest"
)

// quick has the pauses short; everything else is as it is for a user.
var quick = timing{first: 2 * time.Millisecond, longest: 20 * time.Millisecond, call: 10 * time.Second, stall: 10 * time.Second, fence: 400 * time.Millisecond}

// samplePlan has n assets cut out of one file.
func samplePlan(t testing.TB, n int) release.Plan {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nestos.img")
	content := bytes.Repeat([]byte("a release of nestos "), 100*n)
	require.NoError(t, os.WriteFile(file, content, 0o644))
	plan := release.Plan{Owner: "nestos", Repo: "demo", Tag: "v1", Name: "NestOS 1", Notes: "It boots."}
	for i := range n {
		part := content[i*1500 : i*1500+1900-i]
		sum := sha256.Sum256(part)
		plan.Assets = append(plan.Assets, release.Asset{
			Name: fmt.Sprintf("nestos-1.x86_64.part%02d.img.gz", i), Path: file, Offset: int64(i * 1500), Size: int64(len(part)),
			SHA256: hex.EncodeToString(sum[:]), ContentType: "application/gzip",
		})
	}
	return plan
}

// run publishes with short pauses.
func run(t testing.TB, ctx context.Context, s *githubtest.Server, plan release.Plan) (Result, error) {
	t.Helper()
	p, err := newPublisher(nil, Config{BaseURL: s.URL, Token: githubtest.Token}, plan, quick)
	if err != nil {
		return Result{}, err
	}
	return p.publish(ctx)
}

// whole tells what a published release lacks of its plan.
func whole(plan release.Plan, r githubtest.Release) error {
	for _, want := range plan.Assets {
		if !slices.ContainsFunc(r.Assets, func(a githubtest.Asset) bool {
			return a.Name == want.Name && a.Size == want.Size && a.SHA256 == want.SHA256 && a.State == "uploaded"
		}) {
			return fmt.Errorf("published without %s as planned", want.Name)
		}
	}
	return nil
}

// never is the invariant of all tests: whatever is published is whole.
func never(plan release.Plan) func([]githubtest.Release) error {
	return func(all []githubtest.Release) error {
		for _, r := range all {
			if !r.Draft {
				if err := whole(plan, r); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// requireOne demands that there is one release, the planned one, and nothing else.
func requireOne(t testing.TB, s *githubtest.Server, plan release.Plan) githubtest.Release {
	t.Helper()
	all := s.Releases()
	require.Len(t, all, 1, "releases and drafts")
	r := all[0]
	require.False(t, r.Draft)
	require.NoError(t, whole(plan, r))
	require.Len(t, r.Assets, len(plan.Assets))
	require.Equal(t, []any{plan.Tag, plan.Name, plan.Notes, plan.Prerelease}, []any{r.Tag, r.Name, r.Body, r.Prerelease})
	return r
}

func operations(s *githubtest.Server) (ops []string) {
	for _, c := range s.Calls() {
		_, op, _ := strings.Cut(c.Operation, "/")
		ops = append(ops, op)
	}
	return ops
}

func TestAReleaseIsADraftUntilItIsWhole(t *testing.T) {
	githubtest.NeedDescription(t)
	plan := samplePlan(t, 3)
	s := githubtest.New(t, githubtest.Options{Check: never(plan), Immutable: true})

	res, err := run(t, t.Context(), s, plan)

	require.NoError(t, err)
	r := requireOne(t, s, plan)
	require.Equal(t, Result{URL: s.URL + "/nestos/demo/releases/tag/v1", ID: r.ID, Tag: "v1", Uploaded: 3}, res)
	require.True(t, r.Latest)
	require.Equal(t, "application/gzip", r.Assets[0].ContentType)
	ops := operations(s)
	for _, at := range [][2]int{{0, 3}, {7, 9}, {10, 12}} { // asked at once
		slices.Sort(ops[at[0]:at[1]])
	}
	require.Equal(t, []string{
		"get-ref", "get-release-by-tag", "list-releases", "create-release",
		"upload-release-asset", "upload-release-asset", "upload-release-asset",
		"get-ref", "list-release-assets", "get-release", "list-releases", "update-release",
	}, ops)
}

func TestARunWithNothingToDoMakesThreeRequestsAtMost(t *testing.T) {
	plan := samplePlan(t, 8)
	s := githubtest.New(t, githubtest.Options{Immutable: true})
	_, err := run(t, t.Context(), s, plan)
	require.NoError(t, err)
	s.Forget()

	res, err := run(t, t.Context(), s, plan)

	require.NoError(t, err)
	require.Equal(t, 8, res.Kept)
	require.Zero(t, res.Uploaded)
	require.LessOrEqual(t, len(s.Calls()), 3, operations(s))
}

func TestPrereleasesAreNeverTheLatest(t *testing.T) {
	plan := samplePlan(t, 1)
	s := githubtest.New(t, githubtest.Options{Tags: []string{"v1", "v2/rc-1"}})
	_, err := run(t, t.Context(), s, plan)
	require.NoError(t, err)
	plan.Tag, plan.Prerelease = "v2/rc-1", true
	_, err = run(t, t.Context(), s, plan)
	require.NoError(t, err)

	all := s.Releases()
	require.Len(t, all, 2)
	require.True(t, all[0].Latest)
	require.False(t, all[1].Latest)
	require.True(t, all[1].Prerelease)
}

func TestAnEnterpriseServerIsServedToo(t *testing.T) {
	plan := samplePlan(t, 2)
	s := githubtest.New(t, githubtest.Options{NoDigest: true})
	p, err := newPublisher(nil, Config{BaseURL: s.URL + "/api/v3", Token: githubtest.Token}, plan, quick)
	require.NoError(t, err)

	_, err = p.publish(t.Context())

	require.NoError(t, err)
	requireOne(t, s, plan)
}

func TestWithoutChecksumsOfTheServerTheBytesAreReadBack(t *testing.T) {
	plan := samplePlan(t, 2)
	s := githubtest.New(t, githubtest.Options{NoDigest: true, Check: never(plan)})
	wrong := bytes.Repeat([]byte("x"), int(plan.Assets[0].Size))
	s.Add(githubtest.Release{Tag: "v1", Draft: true, Body: marker(plan), Assets: []githubtest.Asset{
		{Name: plan.Assets[0].Name, State: "uploaded", Size: plan.Assets[0].Size, Content: wrong, ContentType: "application/gzip"},
	}})

	res, err := run(t, t.Context(), s, plan)

	require.NoError(t, err)
	require.Equal(t, 2, res.Uploaded)
	requireOne(t, s, plan)
}

func TestWhatIsThereIsKeptAndWhatIsWrongReplaced(t *testing.T) {
	plan := samplePlan(t, 5)
	s := githubtest.New(t, githubtest.Options{Check: never(plan)})
	good := func(i int, name string) githubtest.Asset {
		a := plan.Assets[i]
		return githubtest.Asset{Name: name, State: "uploaded", Size: a.Size, SHA256: a.SHA256, ContentType: a.ContentType}
	}
	broken := good(1, plan.Assets[1].Name)
	broken.SHA256 = strings.Repeat("0", 64)
	s.Add(githubtest.Release{Tag: "v1", Draft: true, Body: marker(plan), Assets: []githubtest.Asset{
		good(0, plan.Assets[0].Name), broken,
		{Name: plan.Assets[2].Name, State: "starter", ContentType: "application/gzip"},
		good(3, "nosa-half.0123456789ab."+plan.Assets[3].Name), // whole, not yet in its place
		{Name: plan.Assets[3].Name, State: "starter", ContentType: "application/gzip"},
		{Name: "nosa-half.ba9876543210." + plan.Assets[4].Name, State: "starter", ContentType: "application/gzip"},
		good(4, "of-another-build.img"),
	}})

	res, err := run(t, t.Context(), s, plan)

	require.NoError(t, err)
	require.Equal(t, 3, res.Uploaded, "the broken, the half and the missing one")
	requireOne(t, s, plan)
}

func TestAPublishedReleaseIsNeverChanged(t *testing.T) {
	for _, immutable := range []bool{true, false} {
		plan := samplePlan(t, 3)
		s := githubtest.New(t, githubtest.Options{Immutable: immutable})
		_, err := run(t, t.Context(), s, plan)
		require.NoError(t, err)
		before := s.Releases()
		other := samplePlan(t, 4)
		other.Assets[1].Size--

		_, err = run(t, t.Context(), s, other)

		require.ErrorContains(t, err, "part01.img.gz has 1899 bytes")
		require.ErrorContains(t, err, "part03.img.gz is missing")
		require.ErrorContains(t, err, "publish under a new tag")
		require.Equal(t, before, s.Releases())
	}
}

func TestAPersonsDraftIsLeftAlone(t *testing.T) {
	plan := samplePlan(t, 1)
	s := githubtest.New(t, githubtest.Options{})
	theirs := s.Add(githubtest.Release{Tag: "v1", Draft: true, Body: "words of a person"})

	_, err := run(t, t.Context(), s, plan)

	require.NoError(t, err)
	require.Equal(t, theirs, s.Releases()[0])
}

func TestAReleaseOfManyPagesIsFound(t *testing.T) {
	plan := samplePlan(t, 130)
	s := githubtest.New(t, githubtest.Options{Check: func([]githubtest.Release) error { return nil }})
	s.Add(githubtest.Release{Tag: "v1", Draft: true, Body: marker(plan)})
	for i := range 120 {
		s.Add(githubtest.Release{Tag: fmt.Sprintf("nightly-%d", i)})
	}

	res, err := run(t, t.Context(), s, plan)

	require.NoError(t, err)
	require.Equal(t, 130, res.Uploaded)
	all := s.Releases()
	require.Len(t, all, 121)
	require.NoError(t, whole(plan, all[0]))
	s.Forget()
	_, err = run(t, t.Context(), s, plan)
	require.NoError(t, err)
	require.LessOrEqual(t, len(s.Calls()), 4, "only the newest of many releases are listed beside a published one")
}

// rng makes the random mixes repeatable.
func rng(seed int) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 8)) }
