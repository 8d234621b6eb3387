package job

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/action"
)

// Tier is how far what a run leaves in the cache is trusted. A run reads what its
// own tier wrote, and pull requests read what branches wrote; never the other
// way round. GitHub keeps runs of pull requests apart too, but only those of the
// event pull_request: with pull_request_target, workflow_run and comments, code
// of a stranger can run where the default branch's caches are written.
type Tier string

const (
	// Branch is a push, a schedule or a dispatch on a branch.
	Branch Tier = "branch"
	// Release is a tag or a release. It reads no cache at all: a poisoned one
	// could be unpacked outside of its directory before anybody can check it.
	Release Tier = "release"
)

// trusted are the events that run code of the repository's own branches and
// tags. All others, also those that are not known yet, may run a stranger's.
var trusted = []string{"push", "schedule", "workflow_dispatch", "repository_dispatch", "release"}

// tierOf is the tier of a run. Pull requests have one each: "pull-NUMBER" for
// those of the repository itself, "fork-NUMBER" for others. Where the number is
// not known it is one of this run alone.
func tierOf(e action.Event) Tier {
	event := e.Name
	if event == "workflow_run" && e.Head == e.Repository && e.Head != "" {
		event = e.Before // it builds what that run was about
	}
	switch {
	case !slices.Contains(trusted, event), strings.HasPrefix(e.Ref, "refs/pull/"):
		return strangers(e)
	case e.RefType == "tag", event == "release", strings.HasPrefix(e.Ref, "refs/tags/"):
		return Release
	}
	return Branch
}

func strangers(e action.Event) Tier {
	who := "fork"
	if e.Head == e.Repository && e.Head != "" {
		who = "pull"
	}
	if e.PullRequest > 0 {
		return Tier(fmt.Sprintf("%s-%d", who, e.PullRequest))
	}
	return Tier(fmt.Sprintf("%s-run%s", who, e.RunID))
}

// reads are the tiers whose caches a tier may read, the best first.
func (t Tier) reads() []Tier {
	switch t {
	case Release:
		return nil
	case Branch:
		return []Tier{Branch}
	}
	return []Tier{t, Branch}
}
