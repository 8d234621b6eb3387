package action

import (
	"fmt"
	"strings"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/plan"
)

// told is what a step has said about places in files.
type told struct {
	seen  map[diag.Finding]bool
	count map[diag.Severity]int
	rest  []diag.Finding // those beyond what GitHub shows
}

// Finding shows one finding as an annotation. Its file should be absolute or
// relative to the workspace; one outside the workspace is named in the text,
// since the runner could not show it. What was told before is not told again, and
// what is more than GitHub shows goes to the log and, in the end, to the job
// summary.
func (s *Step) Finding(f diag.Finding) {
	t := &s.told
	if t.seen == nil {
		t.seen, t.count = map[diag.Finding]bool{}, map[diag.Severity]int{}
	}
	if t.seen[f] {
		return
	}
	t.seen[f] = true
	if t.count[f.Severity]++; t.count[f.Severity] > plan.MaxAnnotations {
		t.rest = append(t.rest, f)
		s.Log("%s", s.line(f))
		return
	}
	level := "error"
	if f.Severity == diag.Warning {
		level = "warning"
	}
	// A log that cannot be written cannot be told either.
	_ = s.annotate(level, f)
}

// Notice shows a text that is neither error nor warning.
func (s *Step) Notice(text string) { _ = s.annotate("notice", diag.Finding{Message: text}) }

// line is the finding on one line, its file seen from the workspace.
func (s *Step) line(f diag.Finding) string {
	if file, inside := s.inWorkspace(f.Pos.File); inside {
		f.Pos.File = file
	}
	return oneLine(f.String())
}

// summarizeRest puts into the job summary what found no place among the
// annotations.
func (s *Step) summarizeRest() {
	if len(s.told.rest) == 0 {
		return
	}
	var out strings.Builder
	fmt.Fprintf(&out, "### More findings: %d\n\nGitHub shows at most %d errors and %[2]d warnings of a step at their lines.\n\n```text\n",
		len(s.told.rest), plan.MaxAnnotations)
	for _, f := range s.told.rest {
		out.WriteString(strings.ReplaceAll(s.line(f), "```", "` ` `") + "\n")
	}
	out.WriteString("```\n")
	if err := s.Summary(out.String()); err != nil {
		s.Log("%v", err) // the findings are in the log
	}
}
