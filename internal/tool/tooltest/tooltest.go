// Package tooltest stands in for the host in tests of code that runs programs.
// It is for the arguments and errors of such code; whether a program does what
// is hoped for only the program itself can tell.
package tooltest

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/nestos/nosa-actions/internal/tool"
)

// Host answers the commands it was told of and fails the test at any other, and
// when an expected command never came.
type Host struct {
	t  testing.TB
	mu sync.Mutex
	// expected commands in any order, by their command line
	answers map[string]*answer
}

type answer struct {
	stdout string
	err    error
	used   bool
}

// New returns a Host that checks at the end of the test that all it was told to
// expect has happened.
func New(t testing.TB) *Host {
	h := &Host{t: t, answers: map[string]*answer{}}
	t.Cleanup(func() {
		for line, a := range h.answers {
			if !a.used {
				t.Errorf("never ran: %s", line)
			}
		}
	})
	return h
}

// On tells what the command line, written as tool.Cmd.String does, answers.
func (h *Host) On(line, stdout string, err error) *Host {
	h.answers[line] = &answer{stdout: stdout, err: err}
	return h
}

// Run implements tool.Runner.
func (h *Host) Run(_ context.Context, c tool.Cmd) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a, ok := h.answers[c.String()]
	if !ok {
		h.t.Errorf("unexpected command: %s", c)
		return nil, fmt.Errorf("unexpected command: %s", c)
	}
	a.used = true
	if c.Stdout != nil {
		_, _ = io.WriteString(c.Stdout, a.stdout)
		return nil, a.err
	}
	return []byte(a.stdout), a.err
}

// Start implements tool.Runner; a stand-in has nothing that runs on.
func (h *Host) Start(_ context.Context, c tool.Cmd) (tool.Process, error) {
	h.t.Errorf("unexpected start: %s", c)
	return nil, fmt.Errorf("unexpected start: %s", c)
}
