// Build is the second action: it composes the fetched packages into a commit,
// without network.
package main

import (
	"context"
	"errors"
	"os"
	"strconv"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/job"
	"github.com/nestos/nosa-actions/internal/plan"
	"github.com/nestos/nosa-actions/internal/report"
	"github.com/nestos/nosa-actions/internal/workdir"
)

func main() { os.Exit(action.Main(run)) }

func run(ctx context.Context, step *action.Step) error {
	in := job.ReadInputs(step)
	in.Stage = plan.Build
	var args []string
	if step.Bool("force") {
		args = append(args, "--force")
	}
	if version := step.Input("version"); version != "" {
		args = append(args, "--version="+version)
	}
	if in.Handoff {
		// The platforms' jobs each write a record of their own, which run-test
		// merges; none of them can see the others' meta.json.
		args = append(args, "--delay-meta-merge")
	}
	ctx, done := in.Limit(ctx)
	defer done()
	j, err := job.Open(ctx, step, in)
	if err != nil {
		return err
	}
	if err := j.ReceiveCache(ctx); err != nil {
		return err
	}
	before, err := newest(j)
	if err != nil {
		return err
	}
	if err := j.Run(ctx, "build", append(args, "container")...); err != nil {
		return err
	}
	return finish(ctx, j, before)
}

// newest is the id of the newest build, or "" if there is none yet.
func newest(j *job.Job) (string, error) {
	b, err := j.Build()
	if errors.Is(err, workdir.ErrNoBuild) {
		return "", nil
	}
	return b.ID, err
}

func finish(ctx context.Context, j *job.Job, before string) error {
	b, err := j.Build()
	if err != nil {
		return err
	}
	m, err := b.Meta()
	if err != nil {
		return err
	}
	if _, err := j.SendBuild(ctx, b, m); err != nil {
		return err
	}
	changed := b.ID != before
	return errors.Join(
		j.Step.Output("work-dir", j.Workdir),
		j.Step.Output("build-id", b.ID),
		j.Step.Output("version", m.OSTreeVersion),
		j.Step.Output("commit", m.OSTreeCommit),
		j.Step.Output("changed", strconv.FormatBool(changed)),
		j.Step.Summary(report.Build{Meta: m, Changed: changed}.Markdown()),
		j.Conclude(),
	)
}
