// Package tool runs the host programs that nosa leans on, such as rpm, ostree
// and qemu-img. It is the only package that imports os/exec, so what is started
// on a machine, with which environment, and how it is stopped, can be read in
// one place.
package tool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// defaultGrace is how long a cancelled program may take to end by itself after
// SIGTERM before it is killed.
const defaultGrace = 5 * time.Second

// Cmd describes one program to start. Its zero value but for Name is useful.
type Cmd struct {
	Name string   // program, looked up in the PATH and in the sbin directories
	Args []string // arguments, without the program's name
	Dir  string   // working directory; empty: the caller's

	// Env holds variables added to the runner's own, as NAME=VALUE; the later
	// of two equal names wins.
	Env []string
	// Stdin is read by the program; nil is an empty input.
	Stdin io.Reader
	// Stdout receives the output live. When nil, Run gathers and returns it.
	Stdout io.Writer
	// Stderr receives a live copy. The last words are kept for the error anyway.
	Stderr io.Writer
	// Grace is the time between SIGTERM and SIGKILL on cancel; 0 means 5 s.
	Grace time.Duration
	// Foreground leaves the program in the caller's process group and thus in
	// charge of the terminal, for what a person talks to.
	Foreground bool
	// Namespaces starts the program as the first process of a PID namespace, in
	// a mount namespace of its own: when it ends, however it ends, all that it
	// started ends too and all that it mounted is gone. Needs root.
	Namespaces bool
}

// String is the command as a person would type it, for messages and logs.
func (c Cmd) String() string {
	words := append([]string{c.Name}, c.Args...)
	for i, w := range words {
		if w == "" || strings.ContainsAny(w, " \t\n'\"\\$&|;<>()*?[]#~`{}") {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// Runner starts host programs. Code that needs one takes a Runner, so that a
// test can stand in for the host (see tooltest).
type Runner interface {
	// Run runs the command to its end and returns what it wrote to standard
	// output. A program that cannot be started or ends with a status other
	// than 0 yields an *Error; a cancelled context yields its cause.
	Run(ctx context.Context, c Cmd) ([]byte, error)
	// Start starts the command and returns at once. The program is stopped
	// when ctx ends. The caller must Wait.
	Start(ctx context.Context, c Cmd) (Process, error)
}

// Process is a running program.
type Process interface {
	// Wait waits for the end and reports it as Run does. It may be called once.
	Wait() error
	// Signal sends sig to the program alone, not to its children.
	Signal(sig os.Signal) error
	// Pid is the process id, for messages.
	Pid() int
}

// Error says that a program failed: which, what it last said, and how it ended.
type Error struct {
	Cmd    Cmd
	Stderr string // the last words of the program, at most a few KiB
	Err    error  // usually *exec.ExitError
}

// Error prints "NAME: HOW IT ENDED: LAST WORDS" on one line.
func (e *Error) Error() string {
	msg := fmt.Sprintf("%s: %v", e.Cmd.Name, e.Err)
	if last := lastLines(e.Stderr, 3); last != "" {
		msg += ": " + last
	}
	return msg
}

func (e *Error) Unwrap() error { return e.Err }

// ExitCode is the program's exit status, or -1 if it has none: it could not be
// started or a signal ended it.
func (e *Error) ExitCode() int {
	var exit *exec.ExitError
	if errors.As(e.Err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

// MissingError says that a program is not installed and where Debian has it.
type MissingError struct {
	Name string
}

func (e *MissingError) Error() string {
	msg := e.Name + " is not installed"
	if pkg := debianPackage(e.Name); pkg != "" {
		msg += "; on Debian and Ubuntu: apt-get install " + pkg
	}
	return msg
}

// Host runs programs on this machine. The zero value is ready to use.
type Host struct {
	// Trace, when set, receives each command line before it starts.
	Trace io.Writer
}

// Run implements Runner.
func (h Host) Run(ctx context.Context, c Cmd) ([]byte, error) {
	var out bytes.Buffer
	if c.Stdout == nil {
		c.Stdout = &out
	}
	p, err := h.Start(ctx, c)
	if err != nil {
		return nil, err
	}
	err = p.Wait()
	return out.Bytes(), err
}

// Start implements Runner.
func (h Host) Start(ctx context.Context, c Cmd) (Process, error) {
	path, err := Look(c.Name)
	if err != nil {
		return nil, err
	}
	if h.Trace != nil {
		fmt.Fprintf(h.Trace, "+ %s\n", c)
	}
	p := &process{ctx: ctx, spec: c, last: &tail{limit: 8 << 10}}
	cmd := exec.CommandContext(ctx, path, c.Args...)
	cmd.Dir = c.Dir
	cmd.Env = environ(c.Env)
	cmd.Stdin = c.Stdin
	// Callers often give one writer for both streams, which come at once.
	var both sync.Mutex
	cmd.Stdout = locked(&both, c.Stdout)
	cmd.Stderr = p.last
	if c.Stderr != nil {
		cmd.Stderr = io.MultiWriter(locked(&both, c.Stderr), p.last)
	}
	if f, ok := c.Stderr.(*os.File); ok && c.Foreground {
		cmd.Stderr = f // a terminal program must see the terminal itself
	}
	cmd.WaitDelay = c.Grace
	if cmd.WaitDelay == 0 {
		cmd.WaitDelay = defaultGrace
	}
	// A group of its own, so that a Ctrl-C at the terminal reaches us alone and
	// we stop the program and all it started, once, in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: !c.Foreground, Pdeathsig: syscall.SIGKILL}
	if c.Namespaces {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID | syscall.CLONE_NEWNS
	}
	cmd.Cancel = func() error {
		if c.Foreground {
			return cmd.Process.Signal(syscall.SIGTERM)
		}
		return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	}
	p.cmd = cmd
	if err := startLocked(cmd); err != nil {
		return nil, &Error{Cmd: c, Err: err}
	}
	return p, nil
}

type process struct {
	ctx  context.Context
	spec Cmd
	cmd  *exec.Cmd
	last *tail
}

func (p *process) Pid() int                   { return p.cmd.Process.Pid }
func (p *process) Signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }

func (p *process) Wait() error {
	err := p.cmd.Wait()
	if p.ctx.Err() != nil && !p.spec.Foreground {
		// What outlived SIGTERM and the leader's end is still in the group.
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
	switch {
	case err == nil:
		return nil
	case p.ctx.Err() != nil:
		return fmt.Errorf("%s: %w", p.spec.Name, context.Cause(p.ctx))
	default:
		return &Error{Cmd: p.spec, Stderr: p.last.String(), Err: err}
	}
}

// Look returns the path of a program, searching the sbin directories too, which
// the PATH of an ordinary user lacks. A missing one is a *MissingError.
func Look(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	if !strings.Contains(name, "/") {
		for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
			path := dir + "/" + name
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return path, nil
			}
		}
	}
	return "", &MissingError{Name: name}
}

// Need reports, in one error, all of the named programs that are missing.
func Need(names ...string) error {
	var missing []error
	for _, name := range names {
		if _, err := Look(name); err != nil {
			missing = append(missing, err)
		}
	}
	return errors.Join(missing...)
}

// environ is the caller's environment with a locale and message language that
// make output and sorting the same on every machine, plus extra.
func environ(extra []string) []string {
	env := append(os.Environ(), "LC_ALL=C.UTF-8", "LANGUAGE=")
	if os.Getenv("HOME") == "" {
		env = append(env, "HOME=/root") // dnf refuses to start without
	}
	return append(env, extra...)
}

// lockedWriter lets one write at a time through.
type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

// locked guards a writer. Files need none, and a program writes to them itself.
func locked(mu *sync.Mutex, w io.Writer) io.Writer {
	if _, ok := w.(*os.File); ok || w == nil {
		return w
	}
	return lockedWriter{mu, w}
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// tail keeps the end of what is written to it.
type tail struct {
	limit int
	buf   []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - t.limit; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.buf) }

// lastLines joins the last n non-empty lines of text with "; ".
func lastLines(text string, n int) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "; ")
}
