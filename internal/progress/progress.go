// Package progress tells a person what is going on: on a terminal the running
// step counts its seconds, in a log each step is two plain lines, one when it
// begins and one when it ends.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// Log reports steps. A nil Log is silent.
type Log struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	running  []*Step
	painted  bool
	done     chan struct{} // ends the repainting of the running step
}

// New reports to w; the running step is redrawn only if w is a terminal.
func New(w io.Writer) *Log {
	l := &Log{w: w}
	if f, ok := w.(*os.File); ok {
		l.terminal = term.IsTerminal(int(f.Fd()))
	}
	return l
}

// Step is work that has begun and not yet ended.
type Step struct {
	log   *Log
	name  string
	begin time.Time
}

// Step begins a step.
func (l *Log) Step(format string, args ...any) *Step {
	if l == nil {
		return nil
	}
	s := &Step{log: l, name: fmt.Sprintf(format, args...), begin: time.Now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = append(l.running, s)
	if !l.terminal {
		fmt.Fprintf(l.w, "%s ...\n", s.name)
		return s
	}
	if l.done == nil {
		l.done = make(chan struct{})
		go l.repaint(l.done)
	}
	l.paint()
	return s
}

// Done ends the step with what came of it, such as "262 packages"; it may be
// empty.
func (s *Step) Done(format string, args ...any) {
	s.end("", fmt.Sprintf(format, args...))
}

// Stop ends the step as failed unless it has ended already; meant for defer.
func (s *Step) Stop() { s.end("failed", "") }

func (s *Step) end(verdict, detail string) {
	if s == nil {
		return
	}
	l := s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	at := -1
	for i, r := range l.running {
		if r == s {
			at = i
		}
	}
	if at < 0 {
		return
	}
	l.running = append(l.running[:at], l.running[at+1:]...)
	parts := []string{s.name}
	for _, part := range []string{verdict, detail} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	l.line(fmt.Sprintf("%6.1fs  %s", time.Since(s.begin).Seconds(), strings.Join(parts, ": ")))
	if len(l.running) == 0 && l.done != nil {
		close(l.done)
		l.done = nil
	}
}

// Notef says something between steps.
func (l *Log) Notef(format string, args ...any) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line(fmt.Sprintf(format, args...))
}

// Writer passes whole lines of a program on to the log, so that they do not
// tear the running step's line.
func (l *Log) Writer() io.Writer {
	if l == nil {
		return io.Discard
	}
	return &lines{log: l}
}

type lines struct {
	log  *Log
	rest string
}

func (w *lines) Write(p []byte) (int, error) {
	w.rest += string(p)
	for {
		line, rest, ok := strings.Cut(w.rest, "\n")
		if !ok {
			return len(p), nil
		}
		w.log.Notef("%s", strings.TrimRight(line, "\r"))
		w.rest = rest
	}
}

func (l *Log) repaint(done <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			l.mu.Lock()
			l.paint()
			l.mu.Unlock()
		}
	}
}

// line prints a line for good; on a terminal the running step moves below it.
func (l *Log) line(text string) {
	if l.painted {
		fmt.Fprint(l.w, "\r\033[K")
		l.painted = false
	}
	fmt.Fprintln(l.w, text)
	l.paint()
}

func (l *Log) paint() {
	if !l.terminal || len(l.running) == 0 {
		return
	}
	s := l.running[len(l.running)-1]
	fmt.Fprintf(l.w, "\r\033[K%6.0fs  %s ...", time.Since(s.begin).Seconds(), s.name)
	l.painted = true
}
