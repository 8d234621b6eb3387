// Package assembler runs one stage of nosa for the suite. What it knows of nosa
// is the seam between the two halves: the command line, the work directory it
// runs in, findings as lines on standard error, and the exit status. Whatever
// honours that can stand behind it.
//
// Host is the assembler on the machine itself, Container one in an image.
package assembler

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Stage is one command of nosa.
type Stage struct {
	Name string   // such as "fetch" or "buildextend-qemu"
	Args []string // what follows the name
	// Output receives what the stage writes to standard output, for stages that
	// answer with data. Nil: it goes to the log.
	Output io.Writer
}

// String is the command as a person would type it.
func (s Stage) String() string {
	return tool.Cmd{Name: "nosa", Args: append([]string{s.Name}, s.Args...)}.String()
}

// Assembler runs stages.
type Assembler interface {
	// Run runs a stage to its end. The findings it reported are returned whether
	// it failed or not; their files are absolute. A failure is an *Error, and a
	// cancelled context yields its cause.
	Run(ctx context.Context, stage Stage) ([]diag.Finding, error)
}

// Error says that a stage failed.
type Error struct {
	Stage    Stage
	Findings []diag.Finding // what it said about places in the config
	Last     string         // its last words
	Err      error          // how it ended
}

// Error prints "STAGE: HOW IT ENDED: LAST WORDS".
func (e *Error) Error() string {
	msg := fmt.Sprintf("nosa %s: %v", e.Stage.Name, e.how())
	if e.Last != "" {
		msg += ": " + e.Last
	}
	return msg
}

func (e *Error) how() error {
	if failed, ok := errors.AsType[*tool.Error](e.Err); ok {
		return failed.Err
	}
	return e.Err
}

// ExitCode is the stage's exit status, or -1 if it has none.
func (e *Error) ExitCode() int {
	var failed interface{ ExitCode() int }
	if errors.As(e.Err, &failed) {
		return failed.ExitCode()
	}
	return -1
}

// Unwrap gives the findings, if there are any, in the form of an error that
// annotations are made from; else how the stage ended.
func (e *Error) Unwrap() error {
	list := diag.List{Findings: e.Findings}
	if err := list.Err(); err != nil {
		return err
	}
	return e.Err
}

// follow runs a stage through start and reads what it says.
func follow(ctx context.Context, stage Stage, scan *scanner, start func(stdout, stderr io.Writer) error) ([]diag.Finding, error) {
	plain, stderr := &lines{each: scan.plain}, &lines{each: scan.line}
	var stdout io.Writer = plain
	if stage.Output != nil {
		stdout = stage.Output
	}
	err := start(stdout, stderr)
	plain.flush()
	stderr.flush()
	switch {
	case err == nil:
		return scan.findings, nil
	case ctx.Err() != nil:
		return scan.findings, fmt.Errorf("nosa %s: %w", stage.Name, context.Cause(ctx))
	}
	return scan.findings, &Error{Stage: stage, Findings: scan.findings, Last: scan.last, Err: err}
}
