package assembler

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/nestos/nosa-actions/internal/diag"
)

// ParseFindings reads what nosa validate --json prints about the config
// repository at config. The files of the findings are absolute.
func ParseFindings(data []byte, config string) ([]diag.Finding, error) {
	var answer struct {
		Findings []struct {
			Severity string `json:"severity"`
			File     string `json:"file"`
			Line     int    `json:"line"`
			Column   int    `json:"column"`
			Message  string `json:"message"`
			Mend     string `json:"mend"`
		} `json:"findings"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("read the findings: %w", err)
	}
	var findings []diag.Finding
	for _, f := range answer.Findings {
		if f.Message == "" || f.Line < 0 || f.Column < 0 {
			return nil, errors.New("read the findings: one of them has no message or a negative place")
		}
		out := diag.Finding{Pos: diag.Pos{File: f.File, Line: f.Line, Column: f.Column}, Message: f.Message, Mend: f.Mend}
		if f.Severity == "warning" {
			out.Severity = diag.Warning
		}
		if f.File != "" && !filepath.IsAbs(f.File) {
			out.Pos.File = filepath.Join(config, f.File)
		}
		findings = append(findings, out)
	}
	return findings, nil
}

// UnknownCommand tells whether a stage failed because the assembler has no such
// command, as an older one or upstream's may.
func UnknownCommand(err error) bool {
	failed, ok := errors.AsType[*Error](err)
	return ok && failed.ExitCode() == 1 && strings.HasPrefix(failed.Last, "unknown command")
}
