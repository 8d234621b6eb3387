// Fetch is the first action: it resolves the packages of a config and downloads
// them, so that the jobs after it need no network.
package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/job"
	"github.com/nestos/nosa-actions/internal/plan"
	"github.com/nestos/nosa-actions/internal/report"
)

func main() { os.Exit(action.Main(run)) }

func run(ctx context.Context, step *action.Step) error {
	in := job.ReadInputs(step)
	in.Stage = plan.Fetch
	use, prefix := job.ReadCache(step)
	job.ReadPlatforms(step, in.Handoff) // for the plan alone
	in.Architectures = job.ReadArchitectures(step)
	choice := readChoice(step)
	in.Paths = choice.paths()
	ctx, done := in.Limit(ctx)
	defer done()
	j, err := job.Open(ctx, step, in)
	if err != nil {
		return err
	}
	if err := j.Validate(ctx, in.Variant); err != nil {
		return err
	}
	var keys job.CacheKeys
	if use {
		if keys, err = j.CacheKeys(prefix, in.YumRepos); err != nil {
			return err
		}
	}
	args, err := choice.apply(ctx, j)
	if err != nil {
		return err
	}
	fetched, err := fetch(ctx, j, keys, args)
	if err != nil {
		return err
	}
	if _, err := j.SendCache(ctx); err != nil {
		return err
	}
	return finish(j, fetched, choice.update)
}

func fetch(ctx context.Context, j *job.Job, keys job.CacheKeys, args []string) (job.Fetched, error) {
	if err := j.NoteCache(ctx); err != nil {
		return job.Fetched{}, err
	}
	cache, err := j.AdmitPackages(keys)
	if err != nil {
		return job.Fetched{}, err
	}
	if err := j.Run(ctx, "fetch", args...); err != nil {
		return job.Fetched{}, err
	}
	return j.OfferPackages(cache)
}

func finish(j *job.Job, f job.Fetched, update bool) error {
	j.Conclude()
	lockfile := ""
	if update {
		lockfile = filepath.Join(j.Config, "manifest-lock."+j.Arch.RPM+".json")
	}
	return errors.Join(
		j.Step.Output("work-dir", j.Workdir),
		j.Step.Output("packages", strconv.Itoa(f.Packages)),
		j.Step.Output("downloaded", strconv.Itoa(f.Downloaded)),
		j.Step.Output("lockfile", lockfile),
		j.Step.Output("cache-save", f.SaveKey),
		summary(j.Step, f),
	)
}

// summary tells what was fetched. An assembler that keeps its packages in its own
// way does not say.
func summary(step *action.Step, f job.Fetched) error {
	if f.Packages == 0 {
		return nil
	}
	told := report.Fetch{Packages: f.Packages, Bytes: f.Bytes, Downloaded: f.Downloaded, DownloadedBytes: f.DownloadedBytes}
	return step.Summary(told.Markdown())
}
