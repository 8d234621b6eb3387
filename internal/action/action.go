// Package action is what a program needs to be a step of a GitHub action:
// inputs, outputs, annotations, log groups, the job summary, and an end that
// the runner and a person understand. It is the only package that knows
// go-githubactions, which panics where this one returns errors.
package action

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/sethvargo/go-githubactions"

	"github.com/nestos/nosa-actions/internal/diag"
)

// Exit codes of Main. A stage that failed passes its own one on instead.
const (
	exitFailed    = 1
	exitInternal  = 70  // EX_SOFTWARE: a bug of ours
	exitCancelled = 130 // as after Ctrl-C
)

// Step is the running step as the runner sees it.
type Step struct {
	lookup func(string) (string, bool)
	out    io.Writer
	sdk    *githubactions.Action
	inputs diag.List
	names  []string // inputs that were asked for, for the test of action.yml
	told   told
}

// New makes a step from an environment and the stream that the runner reads.
func New(lookup func(string) (string, bool), out io.Writer) *Step {
	getenv := func(name string) string {
		value, _ := lookup(name)
		return value
	}
	return &Step{
		lookup: lookup,
		out:    out,
		sdk:    githubactions.New(githubactions.WithWriter(out), githubactions.WithGetenv(getenv)),
	}
}

// Main runs the program of a step and returns its exit code. SIGINT and SIGTERM,
// which the runner sends on cancel, end the context. What went wrong becomes
// annotations: findings at their places, anything else as one. It needs root
// for the trees it handles and starts itself again through sudo where it is
// not.
func Main(run func(context.Context, *Step) error) int {
	if os.Geteuid() != 0 {
		run = elevate
	}
	return MainAsUser(run)
}

// MainAsUser is Main for programs that need no root.
func MainAsUser(run func(context.Context, *Step) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, release := heed(ctx, os.LookupEnv, os.Stdin)
	defer release()
	return New(os.LookupEnv, os.Stdout).run(ctx, run)
}

func (s *Step) run(ctx context.Context, run func(context.Context, *Step) error) (code int) {
	defer s.summarizeRest()
	defer func() {
		if p := recover(); p != nil {
			_ = s.annotate("error", diag.Finding{Message: fmt.Sprintf("internal error: %v; this is a bug of nosa-actions, please report it with the log", p)})
			_, _ = s.out.Write(debug.Stack())
			code = exitInternal
		}
	}()
	err := run(ctx, s)
	if err == nil {
		return 0
	}
	if quiet, ok := errors.AsType[*reported](err); ok {
		return quiet.code
	}
	if ctx.Err() != nil {
		_ = s.annotate("error", diag.Finding{Message: "cancelled"})
		return exitCancelled
	}
	s.Annotate(err)
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode()
	}
	return exitFailed
}

// reported is the failure of a program that has said itself what went wrong.
type reported struct{ code int }

func (r *reported) Error() string { return fmt.Sprintf("exit status %d", r.code) }

// Annotate shows an error: each of its findings at the place in the file, or the
// whole as one annotation if it has none.
func (s *Step) Annotate(err error) {
	findings := diag.Findings(err)
	if len(findings) == 0 {
		findings = []diag.Finding{{Message: err.Error()}}
	}
	for _, f := range findings {
		s.Finding(f)
	}
}

// maxAnnotation is how much of a message a person reads, in bytes.
const maxAnnotation = 1500

func (s *Step) annotate(level string, f diag.Finding) error {
	text := f.Message
	if f.Mend != "" {
		text += "; " + f.Mend
	}
	props := githubactions.CommandProperties{}
	if file, inside := s.inWorkspace(f.Pos.File); inside {
		props["file"] = file
		if f.Pos.Line > 0 {
			props["line"] = fmt.Sprint(f.Pos.Line)
		}
		if f.Pos.Column > 0 {
			props["col"] = fmt.Sprint(f.Pos.Column)
		}
	} else if pos := f.Pos.String(); pos != "" {
		text = pos + ": " + text
	}
	return s.issue(&githubactions.Command{Name: level, Message: shorten(text), Properties: props})
}

// shorten takes the middle out of a text that nobody would read, and what is not
// to be seen out of each of its lines.
func shorten(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = visible(line)
	}
	text = strings.Join(lines, "\n")
	if len(text) <= maxAnnotation {
		return text
	}
	half := maxAnnotation/2 - 5
	return strings.ToValidUTF8(text[:half]+" [...] "+text[len(text)-half:], "")
}

// Group folds what is written until the returned function is called.
func (s *Step) Group(title string) (end func()) {
	_ = s.issue(&githubactions.Command{Name: "group", Message: oneLine(title)})
	return func() { _ = s.issue(&githubactions.Command{Name: "endgroup"}) }
}

// Mask makes the runner blank a secret in the log from now on.
func (s *Step) Mask(secret string) {
	for line := range strings.Lines(secret) { // the runner masks by line
		if line = strings.TrimSpace(line); line != "" {
			_ = s.issue(&githubactions.Command{Name: "add-mask", Message: line})
		}
	}
}

// Log writes a line to the log. Line breaks and what the runner would take for
// a command are made harmless.
func (s *Step) Log(format string, args ...any) {
	for line := range strings.Lines(fmt.Sprintf(format, args...)) {
		fmt.Fprintln(s.out, Harmless(strings.TrimRight(line, "\r\n")))
	}
}

// Harmless makes sure that the runner takes a line for text and not for a
// workflow command, and that it shows what it says: of terminal sequences only
// colours stay.
func Harmless(line string) string {
	line = visible(line)
	if strings.HasPrefix(strings.TrimSpace(line), "::") {
		line = strings.Replace(line, "::", ": :", 1)
	}
	return strings.ReplaceAll(line, "##[", "# #[")
}

// colours are the terminal sequences that programs put into logs for people.
var colours = regexp.MustCompile(`^\x1b\[[0-9;]*m`)

// visible leaves out of a line what would hide or reorder some of it.
func visible(line string) string {
	var out strings.Builder
	for i, r := range line {
		switch {
		case r == '\r' || r == '\n' || r == '\u2028' || r == '\u2029' || r == '\u0085':
			out.WriteByte(' ')
		case r == '\t' || r == '\x1b' && colours.MatchString(line[i:]) || !deceptive(r):
			out.WriteRune(r)
		}
	}
	return out.String()
}

// issue writes a workflow command; the SDK panics when it cannot.
func (s *Step) issue(c *githubactions.Command) error {
	return guard(func() { s.sdk.IssueCommand(c) })
}

// guard turns a panic of the SDK into an error.
func guard(do func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	do()
	return nil
}

func oneLine(text string) string {
	return visible(strings.Join(strings.Fields(text), " "))
}
