// Run-test is the last action: it boots the image of a build and tests it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/assembler"
	"github.com/nestos/nosa-actions/internal/job"
	"github.com/nestos/nosa-actions/internal/plan"
	"github.com/nestos/nosa-actions/internal/report"
)

// artifactWord is what of the artifact's name the caller may choose.
var artifactWord = regexp.MustCompile(`^[0-9A-Za-z._-]{0,64}$`)

func main() { os.Exit(action.Main(run)) }

func run(ctx context.Context, step *action.Step) error {
	in := job.ReadInputs(step)
	in.Stage, in.Platforms = plan.RunTest, []string{"qemu"}
	use, prefix := job.ReadCache(step)
	choice := readChoice(step)
	in.Paths = choice.paths
	name := step.Input("name")
	if !artifactWord.MatchString(name) {
		step.Wrong("name", fmt.Sprintf("is %q", name), "write a word of letters, digits, dots, dashes and underscores")
	}
	ctx, done := in.Limit(ctx)
	defer done()
	j, err := job.Open(ctx, step, in)
	if err != nil {
		return err
	}
	if err := j.ReceiveBuild(ctx); err != nil {
		return err
	}
	if err := j.ReceiveImages(ctx); err != nil {
		return err
	}
	if use {
		if err := j.AdmitMeasures(); err != nil {
			return err
		}
	}
	results, err := j.Results("nosa-test")
	if err != nil {
		return err
	}
	// Kola makes the directory itself and refuses a foreign one.
	results = filepath.Join(results, "kola")
	j.TellSpeed()
	failed := j.Run(ctx, "kola", append([]string{"run", "--output-dir=" + results}, choice.arguments(j)...)...)
	// Outputs and summary matter most when a test failed.
	results = filepath.Join(j.Workdir, results)
	measures, err := j.SaveMeasures(results, name, job.Keep{Use: use, Prefix: prefix, Variant: in.Variant})
	return errors.Join(finish(j, name, results, failed), err, step.Output("measures", measures))
}

// finish gives the outputs and then the error that stands for failed, the end of
// the tests' run.
func finish(j *job.Job, name, results string, failed error) error {
	j.Conclude()
	if name != "" {
		name += "-"
	}
	artifact := "nosa-test-" + name + j.Arch.RPM
	tests, err := report.ReadTests(filepath.Join(results, "reports", "report.json"))
	if failed != nil && errors.Is(err, fs.ErrNotExist) {
		return errors.Join(failed, offerLogs(j.Step, artifact, results))
	}
	if err != nil {
		return err
	}
	b, err := j.Build()
	if err != nil {
		return err
	}
	return errors.Join(
		verdict(tests, failed),
		j.Step.Output("work-dir", j.Workdir),
		j.Step.Output("build-id", b.ID),
		j.Step.Output("artifact", artifact),
		j.Step.Output("results", results),
		j.Step.Output("passed", fmt.Sprint(tests.Count("PASS"))),
		j.Step.Output("failed", fmt.Sprint(tests.Count("FAIL"))),
		j.Step.Summary(tests.Markdown()),
	)
}

// offerLogs lets what guests have left be uploaded where it did not come to verdicts,
// as when the time was up: it is all that tells why.
func offerLogs(step *action.Step, artifact, results string) error {
	if logs, err := os.ReadDir(results); err != nil || len(logs) == 0 {
		return nil //nolint:nilerr // it did not come to guests
	}
	return errors.Join(step.Output("artifact", artifact), step.Output("results", results))
}

// verdict names the tests that failed, where that is why the stage failed.
func verdict(tests *report.Tests, failed error) error {
	stage, ok := errors.AsType[*assembler.Error](failed)
	if !ok {
		return failed
	}
	var names []string
	for _, t := range tests.All() {
		if t.Result == "FAIL" {
			names = append(names, t.Name)
		}
	}
	if len(names) == 0 {
		return failed
	}
	stage.Last = fmt.Sprintf("%d of %d tests failed: %s", len(names), len(tests.All()), strings.Join(names, ", "))
	return stage
}
