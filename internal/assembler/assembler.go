// Package assembler runs one stage of nosa for the suite. What it knows of nosa
// is the seam between the two halves: the command line, the work directory it
// runs in, findings as lines on standard error, and the exit status. Whatever
// honours that can stand behind it.
//
// Host is the assembler on the machine itself.
package assembler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Stage is one command of nosa.
type Stage struct {
	Name string   // such as "fetch" or "buildextend-qemu"
	Args []string // what follows the name
}

// String is the command as a person would type it.
func (s Stage) String() string {
	return tool.Cmd{Name: "nosa", Args: append([]string{s.Name}, s.Args...)}.String()
}

// Host runs stages on this machine.
type Host struct {
	Runner  tool.Runner
	Binary  string // path of nosa
	Workdir string // absolute; the stage's current directory
	// Log receives the stage's output live, line by line without line breaks.
	Log func(line string)
	// Environ is where the environment is taken from; nil: the process's own.
	// A stage gets only the variables that it needs, never all of them.
	Environ []string
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
	if failed, ok := errors.AsType[*tool.Error](e.Err); ok {
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

// Run runs a stage to its end. The findings it reported are returned whether it
// failed or not; their files are absolute. A failure is an *Error, and a
// cancelled context yields its cause.
func (h Host) Run(ctx context.Context, stage Stage) ([]diag.Finding, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	scan := &scanner{config: filepath.Join(h.Workdir, "src", "config"), log: h.Log}
	stdout, stderr := &lines{each: scan.plain}, &lines{each: scan.line}
	err := h.start(ctx, stage, stdout, stderr)
	stdout.flush()
	stderr.flush()
	switch {
	case err == nil:
		return scan.findings, nil
	case ctx.Err() != nil:
		return scan.findings, fmt.Errorf("nosa %s: %w", stage.Name, context.Cause(ctx))
	}
	return scan.findings, &Error{Stage: stage, Findings: scan.findings, Last: scan.last, Err: err}
}

func (h Host) check() error {
	if !filepath.IsAbs(h.Workdir) {
		return fmt.Errorf("work directory %q is not absolute", h.Workdir)
	}
	info, err := os.Stat(h.Binary)
	if err != nil {
		return fmt.Errorf("find nosa: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is not a program", h.Binary)
	}
	return nil
}

// start runs the stage through env, which drops the whole environment but for
// what is named: what a job holds in tokens must not reach what a config runs.
func (h Host) start(ctx context.Context, stage Stage, stdout, stderr io.Writer) error {
	args := append([]string{"-i", "--"}, environment(h.environ())...)
	args = append(args, h.Binary, stage.Name)
	_, err := h.Runner.Run(ctx, tool.Cmd{
		Name: "env", Args: append(args, stage.Args...), Dir: h.Workdir, Stdout: stdout, Stderr: stderr,
	})
	return err
}

func (h Host) environ() []string {
	if h.Environ != nil {
		return h.Environ
	}
	return os.Environ()
}

// allowed are the variables that a stage may see. None of them is a secret but
// what a person puts into a proxy's address.
var allowed = []string{
	"COSA_NO_KVM", "COSA_SKIP_OVERLAY", "COSA_SUPPRESS_DEPCHECK", "HOME", "LOGNAME", "NOSA_POOL", "PATH",
	"SOURCE_DATE_EPOCH", "SSL_CERT_DIR", "SSL_CERT_FILE", "TERM", "TMPDIR", "TZ", "USER",
	"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
}

// environment keeps the allowed variables, and fixes the locale.
func environment(environ []string) []string {
	var keep []string
	home := false
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if slices.Contains(allowed, name) {
			keep = append(keep, entry)
			home = home || name == "HOME"
		}
	}
	if !home {
		keep = append(keep, "HOME=/root") // dnf refuses to start without
	}
	slices.Sort(keep)
	return append(keep, "LC_ALL=C.UTF-8")
}
