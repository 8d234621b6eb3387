package validate

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/nestos/nosa-actions/internal/diag"
)

// Print writes the findings for a person, one a line, and how many there are.
func (r Result) Print(w io.Writer) error {
	var out strings.Builder
	for _, f := range r.Findings {
		out.WriteString(f.String() + "\n")
	}
	errors, warnings := r.Errors(), r.Warnings()
	if errors+warnings == 0 {
		out.WriteString("No errors\n")
	} else {
		fmt.Fprintf(&out, "%s, %s\n", amount(errors, "error"), amount(warnings, "warning"))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func amount(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// jsonResult is what JSON writes. Programs outside of this one read it: fields may
// come, none may change.
type jsonResult struct {
	Errors   int           `json:"errors"`
	Warnings int           `json:"warnings"`
	Findings []jsonFinding `json:"findings"`
}

// jsonFinding is one finding; Line and Column count from 1, 0 is unknown.
type jsonFinding struct {
	Severity string `json:"severity"` // error or warning
	File     string `json:"file"`     // relative to the config repository; absolute outside of it
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Message  string `json:"message"`
	Mend     string `json:"mend,omitzero"`
}

// JSON writes the findings for a program; dir is the config repository that was
// checked.
func (r Result) JSON(w io.Writer, dir string) error {
	d := jsonResult{Errors: r.Errors(), Warnings: r.Warnings(), Findings: []jsonFinding{}}
	for _, f := range r.Findings {
		out := jsonFinding{
			Severity: "error", File: relative(dir, f.Pos.File), Line: f.Pos.Line, Column: f.Pos.Column,
			Message: f.Message, Mend: f.Mend,
		}
		if f.Severity == diag.Warning {
			out.Severity = "warning"
		}
		d.Findings = append(d.Findings, out)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(d)
}

// relative is a file of the config as seen from it.
func relative(dir, file string) string {
	if file == "" {
		return ""
	}
	if rel, err := filepath.Rel(dir, file); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return file
	}
	if root, err := filepath.Abs(dir); err == nil {
		if rel, err := filepath.Rel(root, abs); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return abs
}
