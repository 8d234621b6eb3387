// Plan is the first step of a pipeline: it says before any work what is going to
// be needed, and names the caches that the job may use.
package main

import (
	"context"
	"errors"
	"os"
	"strconv"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/job"
)

func main() { os.Exit(action.Main(run)) }

func run(_ context.Context, step *action.Step) error {
	in := job.ReadInputs(step)
	use, prefix := job.ReadCache(step)
	job.ReadPlatforms(step, in.Handoff)
	j, err := job.Locate(step, in)
	if err != nil {
		return err
	}
	keys, err := j.CacheKeys(prefix, in.YumRepos)
	if err != nil {
		return err
	}
	return errors.Join(step.Output("tier", string(keys.Tier)), outputs(step, keys, use))
}

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
