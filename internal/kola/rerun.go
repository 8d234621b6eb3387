package kola

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
)

// rerunTag is the tag of tests whose success in a second run counts. A test that
// ran out of time, or whose guest did not start, is taken to have it.
const rerunTag = "allow-rerun-success"

// failed are the tests of a run that are worth another one: those that failed,
// and where a guest failed and none of its tests did, all of these.
func (o Options) failed(results []Result) []Selected {
	names := map[string]bool{}
	for _, r := range results {
		if r.Verdict != Fail {
			continue
		}
		names[r.Name] = true
		members := slices.DeleteFunc(slices.Clone(r.Subtests), func(s Result) bool { return s.Verdict == Pass })
		if len(members) == 0 {
			members = r.Subtests
		}
		for _, s := range members {
			names[s.Name] = true
		}
	}
	var out []Selected
	guests, err := groups(o.Tests)
	if err != nil {
		return nil
	}
	for _, g := range guests {
		// A guest that did not start has no results of its tests.
		all := names[g.name] && !slices.ContainsFunc(g.members, func(m member) bool { return names[m.Name] })
		for _, m := range g.members {
			if names[m.Name] || all {
				out = append(out, m.Selected)
			}
		}
	}
	return out
}

// runAgain runs the failed tests once more, with logs and reports in the
// subdirectory rerun. The first results stay, each with the second verdict; the
// run as a whole passes if the second one did and was allowed to count.
func (o Options) runAgain(ctx context.Context, r tool.Runner, log *progress.Log, first Report, failed []Selected) (Report, error) {
	again := o
	again.Rerun, again.Tests = false, failed
	again.OutputDir = filepath.Join(o.OutputDir, "rerun")
	if err := os.MkdirAll(again.OutputDir, 0o755); err != nil {
		return first, err
	}
	fmt.Fprintf(o.Terminal, "======== Re-running %d failed tests ========\n", len(failed))
	results, err := again.run(ctx, r, log)
	if err != nil {
		return first, err
	}
	second := Report{Platform: first.Platform, Tests: results, Verdict: overall(results)}
	if err := second.Save(again.OutputDir); err != nil {
		return first, err
	}
	verdicts := map[string]Verdict{}
	record(results, verdicts)
	note(first.Tests, verdicts)
	if second.Verdict != Fail && o.countsAgain(first.Tests, failed) {
		first.Verdict = second.Verdict
	}
	return first, nil
}

func record(results []Result, into map[string]Verdict) {
	for _, r := range results {
		into[r.Name] = r.Verdict
		record(r.Subtests, into)
	}
}

func note(results []Result, verdicts map[string]Verdict) {
	for i := range results {
		r := &results[i]
		if r.Verdict == Fail {
			r.Rerun = verdicts[r.Name]
		}
		note(r.Subtests, verdicts)
	}
}

// countsAgain tells whether every failure was one that a second run may mend.
func (o Options) countsAgain(first []Result, failed []Selected) bool {
	if len(o.RerunTags) == 0 {
		return false
	}
	if slices.Contains(o.RerunTags, "all") {
		return true
	}
	flaky := map[string]bool{}
	for _, r := range first {
		flaky[r.Name] = r.flaky
		for _, s := range r.Subtests {
			flaky[s.Name] = r.flaky
		}
	}
	return !slices.ContainsFunc(failed, func(s Selected) bool {
		tags := s.Tags()
		if flaky[s.Name] {
			tags = append(slices.Clone(tags), rerunTag)
		}
		return !slices.ContainsFunc(tags, func(t string) bool { return slices.Contains(o.RerunTags, t) })
	})
}
