// Matrix plans the jobs of a workflow: which platforms and tests run on which
// runners, as matrices for GitHub. A label on a pull request can ask for more
// platforms.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/job"
	"github.com/nestos/nosa-actions/internal/plan"
)

func main() { os.Exit(action.MainAsUser(run)) }

// leg is one job of a matrix.
type leg struct {
	Runner    json.RawMessage `json:"runner"`              // a label, a list of labels, or a group
	Platforms string          `json:"platforms,omitempty"` // for buildextend
	Tests     string          `json:"tests,omitempty"`     // for run-test; empty is all
	Name      string          `json:"name,omitempty"`      // of the tests' artifact
}

func run(_ context.Context, step *action.Step) error {
	platforms := step.Choices("platforms", job.Platforms...)
	if len(platforms) == 0 {
		step.Wrong("platforms", "is empty", "name at least one, such as qemu")
	}
	runners := readRunners(step)
	tests := readTests(step)
	labels := readLabels(step)
	prefix, required := step.Input("label-prefix"), step.Bool("require-tests")
	if err := step.InputErr(); err != nil {
		return err
	}
	platforms = append(platforms, asked(step, labels, prefix)...)
	groups := job.PlatformGroups(platforms)
	images, suites := divide(runners, groups, tests)
	if required && len(suites) == 0 {
		step.Wrong("platforms", "is without qemu, whose image the tests boot", "add qemu: what no test has booted is not to be released")
	}
	for name, legs := range map[string][]leg{"platforms": images, "tests": suites} {
		if len(legs) > plan.MaxMatrix {
			step.Wrong(name, fmt.Sprintf("makes %d jobs", len(legs)), fmt.Sprintf("GitHub allows %d in a matrix", plan.MaxMatrix))
		}
	}
	if err := step.InputErr(); err != nil {
		return err
	}
	return errors.Join(
		output(step, "runners", runners),
		step.Output("architectures", strconv.Itoa(len(runners))),
		output(step, "images", map[string][]leg{"include": images}),
		output(step, "tests", map[string][]leg{"include": suites}),
		step.Output("platforms", strings.Join(slices.Concat(groups...), " ")),
		step.Output("tested", fmt.Sprint(len(suites) > 0)),
	)
}

// divide divides the work: each group of platforms and each group of tests is a job on
// each runner. Tests boot the image of qemu; without one there are none.
func divide(runners []json.RawMessage, groups [][]string, tests []string) (images, suites []leg) {
	images, suites = []leg{}, []leg{}
	if len(tests) == 0 {
		tests = []string{""}
	}
	if !slices.ContainsFunc(groups, func(group []string) bool { return slices.Contains(group, "qemu") }) {
		tests = nil
	}
	for _, runner := range runners {
		for _, group := range groups {
			images = append(images, leg{Runner: runner, Platforms: strings.Join(group, " ")})
		}
		for i, line := range tests {
			l := leg{Runner: runner, Tests: line}
			if len(tests) > 1 {
				l.Name = fmt.Sprint(i + 1)
			}
			suites = append(suites, l)
		}
	}
	return images, suites
}

// readTests reads the tests of each job: a line, or what stands between semicolons.
func readTests(step *action.Step) []string {
	var jobs []string
	for _, line := range step.Lines("tests") {
		for part := range strings.SplitSeq(line, ";") {
			if part = strings.TrimSpace(part); part != "" {
				jobs = append(jobs, part)
			}
		}
	}
	return jobs
}

// readRunners reads labels of runners: words, or a JSON list of what runs-on takes.
func readRunners(step *action.Step) []json.RawMessage {
	text := strings.Join(step.Lines("runners"), "\n")
	var runners []json.RawMessage
	if strings.HasPrefix(text, "[") {
		if err := json.Unmarshal([]byte(text), &runners); err != nil {
			step.Wrong("runners", "is no JSON list: "+err.Error(), `write labels, or a list such as ["ubuntu-24.04", ["self-hosted", "ARM64"]]`)
			return nil
		}
	} else {
		for _, label := range strings.Fields(strings.ReplaceAll(text, ",", " ")) {
			quoted, _ := json.Marshal(label) // a string always can be
			runners = append(runners, quoted)
		}
	}
	if len(runners) == 0 {
		step.Wrong("runners", "is empty", "name at least one, such as ubuntu-24.04")
	}
	for i, r := range runners {
		if !slices.Contains([]byte(`"[{`), r[0]) {
			step.Wrong("runners", fmt.Sprintf("has %s", r), "each must be a label, a list of labels, or an object with a group")
		}
		if slices.ContainsFunc(runners[:i], func(before json.RawMessage) bool { return string(before) == string(r) }) {
			step.Wrong("runners", fmt.Sprintf("names %s twice", r), "name one for each architecture")
		}
	}
	return runners
}

// readLabels reads the names of a pull request's labels; there are none without.
func readLabels(step *action.Step) []string {
	text := strings.Join(step.Lines("labels"), "\n")
	var labels []string
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), &labels); err != nil {
		step.Wrong("labels", "is no JSON list of names", "write ${{ toJSON(github.event.pull_request.labels.*.name) }}")
	}
	return labels
}

// asked are the platforms that labels ask for. Whatever else a label says, it is
// compared and told, nothing more.
func asked(step *action.Step, labels []string, prefix string) []string {
	var platforms []string
	for _, label := range labels {
		platform, ours := strings.CutPrefix(label, prefix)
		switch {
		case prefix == "" || !ours:
		case slices.Contains(job.Platforms, platform):
			platforms = append(platforms, platform)
			step.Log("label %s asks for an image", label)
		default:
			step.Log("label %q names no platform; known are %s", label, strings.Join(job.Platforms, ", "))
		}
	}
	return platforms
}

func output(step *action.Step, name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	step.Log("%s: %s", name, data)
	return step.Output(name, string(data))
}
