// Package diag holds findings: what is wrong with a person's files, where, and
// how to mend it. A finding is data, not a failure; a List becomes an error only
// when someone has to stop because of it.
package diag

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Pos is a place in a file. Line and Column count from 1; 0 means unknown.
type Pos struct {
	File         string
	Line, Column int
}

// String prints file:line:column, leaving out what is unknown.
func (p Pos) String() string {
	switch {
	case p.File == "":
		return ""
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	default:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
}

// Severity tells whether a finding stops the work.
type Severity int

const (
	Error   Severity = iota // the work cannot go on
	Warning                 // probably not what was meant
)

// Finding is one thing to say about one place.
type Finding struct {
	Severity Severity
	Pos      Pos
	Message  string // one sentence, small initial, no full stop
	Mend     string // what to do instead; may be empty
}

// String prints "file:line:column: message; mend".
func (f Finding) String() string {
	var b strings.Builder
	if pos := f.Pos.String(); pos != "" {
		b.WriteString(pos + ": ")
	}
	if f.Severity == Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(f.Message)
	if f.Mend != "" {
		b.WriteString("; " + f.Mend)
	}
	return b.String()
}

// List gathers findings. The zero value is ready to use.
type List struct {
	Findings []Finding
}

// Addf adds an error without a mend.
func (l *List) Addf(pos Pos, format string, args ...any) {
	l.Add(Finding{Pos: pos, Message: fmt.Sprintf(format, args...)})
}

// Warnf adds a warning.
func (l *List) Warnf(pos Pos, format string, args ...any) {
	l.Add(Finding{Severity: Warning, Pos: pos, Message: fmt.Sprintf(format, args...)})
}

// Add adds a finding.
func (l *List) Add(f Finding) { l.Findings = append(l.Findings, f) }

// Err is nil if no finding is an error; else an *Errors with all findings,
// ordered by place.
func (l *List) Err() error {
	if !slices.ContainsFunc(l.Findings, func(f Finding) bool { return f.Severity == Error }) {
		return nil
	}
	return &Errors{Findings: l.Sorted()}
}

// Sorted is the findings ordered by place.
func (l *List) Sorted() []Finding {
	sorted := slices.Clone(l.Findings)
	slices.SortStableFunc(sorted, func(a, b Finding) int {
		return strings.Compare(a.sortKey(), b.sortKey())
	})
	return sorted
}

func (f Finding) sortKey() string {
	return fmt.Sprintf("%s\x00%08d\x00%08d", f.Pos.File, f.Pos.Line, f.Pos.Column)
}

// Errors is a list of findings of which at least one is an error.
type Errors struct {
	Findings []Finding
}

// Error prints one finding a line.
func (e *Errors) Error() string {
	lines := make([]string, len(e.Findings))
	for i, f := range e.Findings {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Findings returns what an error says about places in files, or nil when it is
// of another kind. Joined and wrapped errors are looked into.
func Findings(err error) []Finding {
	if errs, ok := errors.AsType[*Errors](err); ok {
		return errs.Findings
	}
	return nil
}
