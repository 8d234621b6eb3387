// Fetch is the first action: it resolves the packages of a config and downloads
// them, so that the jobs after it need no network.
package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/handoff"
	"github.com/nestos/nosa-actions/internal/job"
	"github.com/nestos/nosa-actions/internal/report"
)

func main() { os.Exit(action.Main(run)) }

func run(ctx context.Context, step *action.Step) error {
	in := job.ReadInputs(step)
	var args []string
	if step.Bool("strict") {
		args = append(args, "--strict")
	}
	j, err := job.Open(ctx, step, in)
	if err != nil {
		return err
	}
	if err := j.Validate(ctx, in.Variant); err != nil {
		return err
	}
	if err := j.Run(ctx, "fetch", args...); err != nil {
		return err
	}
	sent, err := j.SendCache(ctx)
	if err != nil {
		return err
	}
	return errors.Join(step.Output("work-dir", j.Workdir), summary(step, sent))
}

// summary tells what the pack holds; without one there is nothing to tell that
// the build will not tell better.
func summary(step *action.Step, sent *handoff.Manifest) error {
	if sent == nil {
		return nil
	}
	var f report.Fetch
	for _, e := range sent.Entries {
		if strings.HasSuffix(string(e.Path), ".rpm") {
			f.Packages++
			f.Bytes += e.Size
		}
	}
	return step.Summary(f.Markdown())
}
