package action

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/nestos/nosa-actions/internal/plan"
)

// Output sets an output of the step. Values with line breaks are refused: the
// file format could not tell them from further outputs.
func (s *Step) Output(name, value string) error {
	if strings.ContainsAny(name, "\r\n=") || name == "" {
		return fmt.Errorf("output %q: not a name", name)
	}
	if strings.ContainsAny(value, "\r\n") {
		return fmt.Errorf("output %s: the value has a line break: %q", name, value)
	}
	if err := s.writable("GITHUB_OUTPUT"); err != nil {
		return fmt.Errorf("output %s: %w", name, err)
	}
	if err := guard(func() { s.sdk.SetOutput(name, value) }); err != nil {
		return fmt.Errorf("output %s: %w", name, err)
	}
	return nil
}

// Summary adds Markdown to the job summary, cut at what GitHub accepts: it drops the
// whole of a longer one.
func (s *Step) Summary(markdown string) error {
	if err := s.writable("GITHUB_STEP_SUMMARY"); err != nil {
		return fmt.Errorf("job summary: %w", err)
	}
	const note = "\n\n*The rest was too long for a job summary.*\n"
	if len(markdown) > plan.MaxSummary-1 {
		cut := plan.MaxSummary - 1 - len(note)
		for !utf8.RuneStart(markdown[cut]) {
			cut--
		}
		markdown = markdown[:cut] + note
	}
	if err := guard(func() { s.sdk.AddStepSummary(markdown) }); err != nil {
		return fmt.Errorf("job summary: %w", err)
	}
	return nil
}

// writable checks, before the SDK would panic, the file that a variable names.
func (s *Step) writable(variable string) error {
	path, _ := s.lookup(variable)
	if path == "" {
		return fmt.Errorf("%s is not set; this program is a step of a GitHub action", variable)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// Temp is the runner's directory for temporary files of the job.
func (s *Step) Temp() (string, error) { return s.dir("RUNNER_TEMP") }

// Workspace is the directory with the repository's checkout.
func (s *Step) Workspace() (string, error) { return s.dir("GITHUB_WORKSPACE") }

func (s *Step) dir(variable string) (string, error) {
	path, _ := s.lookup(variable)
	if path == "" || !filepath.IsAbs(path) {
		return "", fmt.Errorf("%s is not set to a path; this program is a step of a GitHub action", variable)
	}
	return filepath.Clean(path), nil
}

// inWorkspace gives the path as the runner wants it in annotations: relative to
// the workspace.
func (s *Step) inWorkspace(file string) (string, bool) {
	if file == "" {
		return "", false
	}
	if !filepath.IsAbs(file) {
		return file, filepath.IsLocal(file)
	}
	root, err := s.Workspace()
	if err != nil {
		return "", false
	}
	if real, err := filepath.EvalSymlinks(root); err == nil {
		if rel, err := filepath.Rel(real, file); err == nil && filepath.IsLocal(rel) {
			return rel, true
		}
	}
	rel, err := filepath.Rel(root, file)
	return rel, err == nil && filepath.IsLocal(rel)
}
