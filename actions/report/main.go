// Report is the last job of a workflow: it merges what the other jobs and their
// tests came to into one report, which is the summary of the run and an artifact
// that a workflow with more rights may make a comment of.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/plan"
	"github.com/nestos/nosa-actions/internal/report"
)

// Directories in the runner's temporary directory, known to action.yml too.
const (
	incoming = "nosa-tests"
	outgoing = "nosa-report"
)

// maxSummary leaves room for the heading and for what the step says beside.
const maxSummary = plan.MaxSummary - 24<<10

func main() { os.Exit(action.MainAsUser(run)) }

func run(_ context.Context, step *action.Step) error {
	r, failed := readJobs(step)
	step.Input("retention-days")
	if err := step.InputErr(); err != nil {
		return err
	}
	temp, err := step.Temp()
	if err != nil {
		return err
	}
	if r.Suites, err = readSuites(step, filepath.Join(temp, incoming)); err != nil {
		return err
	}
	dir := filepath.Join(temp, outgoing)
	if err := write(dir, r); err != nil {
		return err
	}
	err = errors.Join(
		step.Output("directory", dir),
		step.Summary("### Report\n\n"+r.Markdown(maxSummary)),
	)
	if len(failed) > 0 {
		return errors.Join(err, fmt.Errorf("these jobs did not succeed: %s; the report names what failed", strings.Join(failed, ", ")))
	}
	return err
}

// order is that of the pipeline; other jobs come after.
var order = []string{"matrix", "fetch", "build", "buildextend", "run-test"}

// readJobs reads the context needs of the job, and names those jobs that failed.
func readJobs(step *action.Step) (report.Run, []string) {
	var needs map[string]struct {
		Result  string            `json:"result"`
		Outputs map[string]string `json:"outputs"`
	}
	var r report.Run
	if err := step.JSON("jobs", &needs); err != nil {
		step.Wrong("jobs", "is not the context of the jobs before: "+err.Error(), "write ${{ toJSON(needs) }}")
		return r, nil
	}
	var names, failed []string
	for name := range needs {
		names = append(names, name)
	}
	place := func(name string) int {
		if i := slices.Index(order, name); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := place(a) - place(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		n := needs[name]
		r.Jobs = append(r.Jobs, report.Job{Name: name, Result: n.Result})
		if n.Result != "success" && n.Result != "skipped" {
			failed = append(failed, name)
		}
		if id := n.Outputs["build-id"]; id != "" {
			r.Build, r.Version, r.Commit = id, n.Outputs["version"], n.Outputs["commit"]
		}
	}
	return r, failed
}

// readSuites reads the results of each test job, whose artifact lies in a directory
// of its name. One that cannot be read is a failed suite, not a missing one.
func readSuites(step *action.Step, dir string) ([]report.Suite, error) {
	list, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var suites []report.Suite
	for _, e := range list {
		tests, err := report.ReadTests(filepath.Join(dir, e.Name(), "reports", "report.json"))
		if err != nil {
			step.Log("%s: %v", e.Name(), err)
			suites = append(suites, report.Suite{Name: e.Name(), Failed: []report.Test{{Name: "results cannot be read", Result: "FAIL"}}})
			continue
		}
		suites = append(suites, report.NewSuite(e.Name(), tests))
	}
	return suites, nil
}

func write(dir string, r report.Run) error {
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	data, err := r.JSON()
	if err != nil {
		return err
	}
	return errors.Join(
		atomicfile.Write(filepath.Join(dir, "report.json"), data, 0o644),
		atomicfile.Write(filepath.Join(dir, "report.md"), []byte(r.Markdown(maxSummary)), 0o644),
	)
}
