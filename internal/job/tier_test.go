package job

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/action"
)

func TestTiersFollowTheEvent(t *testing.T) {
	const here, fork = "o/r", "stranger/r"
	for _, c := range []struct {
		event action.Event
		want  Tier
	}{
		{action.Event{Name: "push", Ref: "refs/heads/main", RefType: "branch"}, Branch},
		{action.Event{Name: "schedule", Ref: "refs/heads/main", RefType: "branch"}, Branch},
		{action.Event{Name: "workflow_dispatch", Ref: "refs/heads/x", RefType: "branch"}, Branch},
		{action.Event{Name: "push", Ref: "refs/tags/v1", RefType: "tag"}, Release},
		{action.Event{Name: "workflow_dispatch", Ref: "refs/tags/v1"}, Release},
		{action.Event{Name: "release", Ref: "refs/tags/v1", RefType: "tag"}, Release},
		{action.Event{Name: "pull_request", Ref: "refs/pull/3/merge", PullRequest: 3, Head: here}, "pull-3"},
		{action.Event{Name: "pull_request", Ref: "refs/pull/3/merge", PullRequest: 3, Head: fork}, "fork-3"},
		// The head's repository is gone, or the payload could not be read.
		{action.Event{Name: "pull_request", Ref: "refs/pull/3/merge", PullRequest: 3}, "fork-3"},
		{action.Event{Name: "pull_request", Ref: "refs/pull/3/merge"}, "fork-run9"},
		// These run with the rights and the cache of the default branch.
		{action.Event{Name: "pull_request_target", Ref: "refs/heads/main", RefType: "branch", PullRequest: 3, Head: fork}, "fork-3"},
		{action.Event{Name: "issue_comment", Ref: "refs/heads/main", RefType: "branch", PullRequest: 3}, "fork-3"},
		{action.Event{Name: "workflow_run", Ref: "refs/heads/main", RefType: "branch", Before: "pull_request", Head: fork}, "fork-run9"},
		{action.Event{Name: "workflow_run", Ref: "refs/heads/main", RefType: "branch", Before: "pull_request", Head: here, PullRequest: 4}, "pull-4"},
		{action.Event{Name: "workflow_run", Ref: "refs/heads/main", RefType: "branch", Before: "push", Head: fork}, "fork-run9"},
		{action.Event{Name: "workflow_run", Ref: "refs/heads/main", RefType: "branch", Before: "push", Head: here}, Branch},
		{action.Event{Name: "merge_group", Ref: "refs/heads/gh-readonly-queue/main/pr-3", RefType: "branch"}, "fork-run9"},
		{action.Event{Name: "something_new", Ref: "refs/heads/main", RefType: "branch"}, "fork-run9"},
		{action.Event{Name: "push", Ref: "refs/pull/3/head", RefType: "branch"}, "fork-run9"},
		{action.Event{}, "fork-run9"},
	} {
		c.event.Repository, c.event.RunID = here, "9"
		require.Equal(t, c.want, tierOf(c.event), "%+v", c.event)
	}
}

// A tier's beginnings of keys must never fit a key of one that it may not read,
// whatever the prefix of either is.
func TestNoTierReadsWhatALowerOneWrote(t *testing.T) {
	tiers := []Tier{Branch, Release, "pull-1", "pull-11", "fork-1", "fork-11", "fork-run1", "pull-run1"}
	prefixes := []string{"nosa", "branch", "nosa-rpms-1-branch-nosa", "a-branch-x86_64"}
	for _, reader := range tiers {
		for _, writer := range tiers {
			may := slices.Contains(reader.reads(), writer)
			for _, p := range prefixes {
				for _, q := range prefixes {
					key := keyBegin(writer, q, "x86_64") + "0123456789abcdef-0123456789abcdef"
					for _, t2 := range reader.reads() {
						fits := strings.HasPrefix(key, keyBegin(t2, p, "x86_64"))
						require.False(t, fits && !may, "%s reads %s", reader, key)
					}
				}
			}
		}
	}
}

func TestAStepEndsWhenItsTimeIsUp(t *testing.T) {
	ctx, done := Inputs{Timeout: 1}.Limit(t.Context())
	defer done()
	<-ctx.Done()
	require.ErrorContains(t, context.Cause(ctx), "as the input timeout-minutes says; give it more, or take a faster runner")
	ctx, done = Inputs{}.Limit(t.Context())
	require.NoError(t, ctx.Err())
	done()
}
