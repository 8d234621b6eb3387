// Plan is the first step of a pipeline: it says before any work what is going to
// be needed, and names the caches that the job may use.
package main

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/job"
	"github.com/nestos/nosa-actions/internal/plan"
	"github.com/nestos/nosa-actions/internal/report"
)

func main() { os.Exit(action.Main(run)) }

func run(ctx context.Context, step *action.Step) error {
	in := job.ReadInputs(step)
	use, prefix := job.ReadCache(step)
	platforms := job.ReadPlatforms(step, in.Handoff)
	in.Architectures = job.ReadArchitectures(step)
	ctx, done := in.Limit(ctx)
	defer done()
	j, err := job.Locate(step, in)
	if err != nil {
		return err
	}
	keys, err := j.CacheKeys(prefix, in.YumRepos)
	if err != nil {
		return err
	}
	uncached, err := foretell(ctx, j, in, platforms, keys.Tier == job.Release)
	if err != nil {
		return err
	}
	return errors.Join(step.Output("tier", string(keys.Tier)), outputs(step, keys, use && !uncached))
}

// foretell says what the pipeline will need before anything is done, and refuses
// what cannot end well. It tells whether the packages are too many for the cache.
func foretell(ctx context.Context, j *job.Job, in job.Inputs, platforms []string, release bool) (uncached bool, err error) {
	forecast, err := j.Forecast(platforms)
	if err != nil {
		return false, err
	}
	lines, err := j.Against(forecast, release)
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(plan.Table(forecast, lines)) {
		j.Step.Log("%s", strings.TrimSuffix(line, "\n"))
	}
	if in.FreeDiskSpace {
		if err := j.FreeDiskSpace(ctx); err != nil {
			return false, err
		}
		if lines, err = j.Against(forecast, release); err != nil {
			return false, err
		}
	}
	told := j.Step.Summary(report.Plan{Forecast: forecast, Lines: lines}.Markdown())
	return tooLarge(forecast), errors.Join(told, j.Refuse(forecast, lines))
}

func tooLarge(f plan.Forecast) bool { return f.Cache.Low > plan.MaxCache }

// outputs names the caches for actions/cache, which wants one key and several
// beginnings of others.
func outputs(step *action.Step, keys job.CacheKeys, use bool) error {
	use = use && len(keys.Restore) > 0
	err := errors.Join(
		step.Output("cache", strconv.FormatBool(use)),
		step.Output("cache-key", keys.Key),
	)
	for i := range job.MaxRestore {
		begin := ""
		if i < len(keys.Restore) {
			begin = keys.Restore[i]
		}
		err = errors.Join(err, step.Output("cache-restore-"+strconv.Itoa(i+1), begin))
	}
	return err
}
