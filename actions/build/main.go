// Build is the second action: it composes the fetched packages into a commit,
// without network.
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
	"github.com/nestos/nosa-actions/internal/workdir"
)

func main() { os.Exit(action.Main(run)) }

func run(ctx context.Context, step *action.Step) error {
	in := job.ReadInputs(step)
	in.Stage = plan.Build
	use, prefix := job.ReadCache(step)
	token := step.Input("token")
	args := readChoice(step)
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
	return finish(ctx, j, before, token, job.Keep{Use: use, Prefix: prefix, Variant: in.Variant})
}

// newest is the id of the newest build, or "" if there is none yet.
func newest(j *job.Job) (string, error) {
	b, err := j.Build()
	if errors.Is(err, workdir.ErrNoBuild) {
		return "", nil
	}
	return b.ID, err
}

func finish(ctx context.Context, j *job.Job, before, token string, keep job.Keep) error {
	j.Conclude()
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
	archive, path := m.Images["ostree"], ""
	if archive.Path != "" {
		path = b.Path(archive.Path)
	}
	told, err := compare(ctx, j, b, m, token, keep)
	if err != nil {
		return err
	}
	return errors.Join(
		j.Step.Output("work-dir", j.Workdir),
		j.Step.Output("build-id", b.ID),
		j.Step.Output("version", m.OSTreeVersion),
		j.Step.Output("commit", m.OSTreeCommit),
		j.Step.Output("archive", path),
		j.Step.Output("archive-digest", archive.SHA256),
		j.Step.Output("changed", strconv.FormatBool(changed)),
		j.Step.Summary(report.Build{Meta: m, Changed: changed}.Markdown()+told),
	)
}

// compare tells what differs from the branch's last build and from the last release,
// and leaves a record of this one if it is a branch's.
func compare(ctx context.Context, j *job.Job, b workdir.Build, m *workdir.Meta, token string, keep job.Keep) (string, error) {
	packages, err := job.Installed(b)
	if err != nil {
		return "", err
	}
	now := report.Known{BuildID: b.ID, Commit: m.OSTreeCommit, Packages: packages, Images: job.ImageSizes(m)}
	told, same, key := "", "", ""
	last := j.LastRecord()
	if last != nil {
		told = report.Compare("build "+last.BuildID+" of the base branch", last.Known, now)
	}
	if release := j.LastRelease(ctx, token); release != nil && packages != nil {
		told += report.Compare("release "+release.BuildID, *release, now)
	}
	if last.Same(m) {
		same = last.BuildID
	}
	if keep.Use {
		if key, err = j.SaveRecord(now, m, keep); err != nil {
			return "", err
		}
	}
	return told, errors.Join(j.Step.Output("same-as", action.Harmless(oneWord(same))), j.Step.Output("record", key))
}

// oneWord is an id of a build, or "" for what is none: it comes from a cache.
func oneWord(id string) string {
	if strings.ContainsAny(id, " \t\r\n") || len(id) > 128 {
		return ""
	}
	return id
}
