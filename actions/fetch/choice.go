package main

import (
	"context"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/job"
)

// choice is which packages to fetch.
type choice struct {
	strict, update      bool
	autolock, overrides string
}

func readChoice(step *action.Step) choice {
	c := choice{
		strict: step.Bool("strict"), update: step.Bool("update-lockfile"),
		autolock: job.ReadBuildID(step, "autolock"), overrides: step.Input("overrides"),
	}
	if c.strict && c.update {
		step.Wrong("strict", "excludes update-lockfile", "a lockfile that is written anew allows nothing yet; run strict in the next step")
	}
	if c.strict && c.autolock != "" {
		step.Wrong("strict", "excludes autolock", "autolock is for configs without a lockfile, strict for those with one; leave out either")
	}
	return c
}

// paths are those that must be there.
func (c choice) paths() []job.Path {
	if c.overrides == "" {
		return nil
	}
	return []job.Path{{Input: "overrides", Path: c.overrides, Dir: true}}
}

// apply puts overrides where the stage looks for them, and gives its arguments.
func (c choice) apply(ctx context.Context, j *job.Job) ([]string, error) {
	var args []string
	if c.strict {
		args = append(args, "--strict")
	}
	if c.update {
		args = append(args, "--update-lockfile")
	}
	if c.autolock != "" {
		args = append(args, "--autolock="+c.autolock)
	}
	packages, err := j.TakeOverrides(ctx, c.overrides)
	if packages {
		args = append(args, "--with-cosa-overrides")
	}
	return args, err
}
