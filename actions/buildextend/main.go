// Buildextend is the third action: it makes images for platforms from a build.
// Jobs with different platforms may run side by side.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/assembler"
	"github.com/nestos/nosa-actions/internal/job"
	"github.com/nestos/nosa-actions/internal/plan"
	"github.com/nestos/nosa-actions/internal/report"
	"github.com/nestos/nosa-actions/internal/workdir"
)

func main() { os.Exit(action.Main(run)) }

func run(ctx context.Context, step *action.Step) error {
	in := job.ReadInputs(step)
	chosen := job.ReadPlatforms(step, in.Handoff)
	token, fast := step.Input("token"), step.Bool("fast")
	in.Stage, in.Platforms = plan.BuildExtend, chosen
	ctx, done := in.Limit(ctx)
	defer done()
	j, err := job.Open(ctx, step, in)
	if err != nil {
		return err
	}
	if err := j.ReceiveBuild(ctx); err != nil {
		return err
	}
	b, err := j.Build()
	if err != nil {
		return err
	}
	if err := extend(ctx, j, b, chosen, fast); err != nil {
		return err
	}
	if _, err := j.SendImages(ctx, b, chosen); err != nil {
		return err
	}
	return finish(ctx, j, b, chosen, token)
}

// extend makes the images side by side from one deployment, or one after the other
// where the assembler has no command for several. Fast is for live images alone; other
// commands do not know it.
func extend(ctx context.Context, j *job.Job, b workdir.Build, chosen []string, fast bool) error {
	arguments := func(platforms ...string) []string {
		args := []string{"--build=" + b.ID}
		if fast && slices.Contains(platforms, "live") {
			args = append(args, "--fast")
		}
		return args
	}
	if len(chosen) > 1 {
		err := j.Run(ctx, "buildextend", append(arguments(chosen...), chosen...)...)
		if !assembler.UnknownCommand(err) {
			return err
		}
	}
	for _, platform := range chosen {
		if err := j.Run(ctx, "buildextend-"+platform, arguments(platform)...); err != nil {
			return err
		}
	}
	return nil
}

// finish tells where the images lie, as JSON for use in later steps, and how large they
// are beside those of the last release.
func finish(ctx context.Context, j *job.Job, b workdir.Build, chosen []string, token string) error {
	j.Conclude()
	paths, digests := map[string]string{}, map[string]string{}
	made := workdir.Meta{}
	for _, platform := range chosen {
		for i, artifact := range workdir.StageArtifacts(platform) {
			image, path, err := b.Image(artifact)
			if err != nil {
				return err
			}
			if i == 0 {
				paths[platform], digests[platform] = path, image.SHA256
			}
			made.SetImage(artifact, image)
		}
	}
	list, err := json.Marshal(paths)
	if err != nil {
		return err
	}
	sums, err := json.Marshal(digests)
	if err != nil {
		return err
	}
	told := ""
	if release := j.LastRelease(ctx, token); release != nil {
		told = report.CompareImages("release "+release.BuildID, release.Images, job.ImageSizes(&made))
	}
	return errors.Join(
		j.Step.Output("work-dir", j.Workdir),
		j.Step.Output("build-id", b.ID),
		j.Step.Output("images", string(list)),
		j.Step.Output("image-digests", string(sums)),
		j.Step.Summary("### Images of "+report.Text(b.ID)+"\n"+report.Images(&made)+told),
	)
}
