package machine

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"
)

// fatal lists what a console says when a boot cannot come to a good end any
// more. The first capture group, if any, is the detail.
var fatal = []struct {
	what    string
	pattern *regexp.Regexp
}{
	{"kernel panic", regexp.MustCompile(`Kernel panic - not syncing: (.*)`)},
	{"Ignition failed", regexp.MustCompile(`ignition\[\d+\]:.*\b(?:CRITICAL *|Ignition failed): *(.*)`)},
	{"Ignition failed", regexp.MustCompile(`Failed to start .*(Ignition \([a-z-]+\))`)},
	{"dracut gave up", regexp.MustCompile(`dracut: (Refusing to continue.*)`)},
	{"dracut gave up", regexp.MustCompile(`dracut-initqueue\[\d+\]:.*(?:[Cc]ould not boot|starting timeout scripts)`)},
	{"emergency shell", regexp.MustCompile(`Press Enter for (?:emergency shell|maintenance)|Starting Emergency Shell|You are in emergency mode|Entering emergency mode`)},
	{"no bootable disk", regexp.MustCompile(`No bootable (?:option or )?device`)},
}

// prompts are found at the end of the output although no line ends there.
var prompts = regexp.MustCompile(`^(grub rescue)> ?$|^(grub)> ?$`)

const (
	tailSize = 128 << 10 // kept for messages, and at times twice as much
	lineSize = 8 << 10   // longer lines are examined in parts
)

// FatalError says what on the console ended the hope that the guest comes up.
type FatalError struct {
	What   string // for example "kernel panic"
	Detail string // what the console says about it; may be empty
}

// Error prints "WHAT: DETAIL".
func (e *FatalError) Error() string {
	if e.Detail == "" {
		return e.What
	}
	return e.What + ": " + e.Detail
}

// Console takes what a guest writes to its serial console and finds out while
// it runs whether the boot has failed.
type Console struct {
	mu     sync.Mutex
	sinks  []io.Writer
	tail   []byte
	line   []byte
	failed *FatalError
	starts looping
	settle time.Duration // time for the words that follow a failure
	done   chan struct{}
}

// newConsole passes everything on to the sinks as it comes.
func newConsole(sinks ...io.Writer) *Console {
	return &Console{sinks: sinks, settle: time.Second, done: make(chan struct{})}
}

// Write implements io.Writer. Errors of a sink are not the guest's business:
// the sink is left out from then on.
func (c *Console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	live := c.sinks[:0]
	for _, w := range c.sinks {
		if _, err := w.Write(p); err == nil {
			live = append(live, w)
		}
	}
	c.sinks = live
	c.tail = append(c.tail, p...)
	if len(c.tail) > 2*tailSize {
		c.tail = append(c.tail[:0], c.tail[len(c.tail)-tailSize:]...)
	}
	for rest := p; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			end = len(rest)
		}
		c.line = append(c.line, rest[:end]...)
		if rest[end-1] == '\n' || len(c.line) > lineSize {
			c.examine(Plain(c.line))
			c.line = c.line[:0]
		}
		rest = rest[end:]
	}
	if m := prompts.FindStringSubmatch(Plain(c.line)); m != nil {
		c.fail("boot loader stopped", "at its "+m[1]+m[2]+" prompt")
	}
	return len(p), nil
}

func (c *Console) examine(line string) {
	if c.failed != nil {
		return
	}
	if loop := c.starts.line(line); loop != nil {
		c.fail(loop.What, loop.Detail)
		return
	}
	for _, f := range fatal {
		if m := f.pattern.FindStringSubmatch(line); m != nil {
			detail := ""
			if len(m) > 1 {
				detail = strings.TrimSpace(m[1])
			}
			c.fail(f.what, detail)
			return
		}
	}
}

func (c *Console) fail(what, detail string) {
	if c.failed == nil {
		c.failed = &FatalError{What: what, Detail: detail}
		time.AfterFunc(c.settle, func() { close(c.done) })
	}
}

// loggedIn tells that the start came to its end: what starts from now on is no
// part of a loop.
func (c *Console) loggedIn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.starts = looping{}
}

// text is what is kept of the output, as plain text.
func (c *Console) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Plain(c.tail)
}

// Failed is closed shortly after the console has shown that the boot failed.
func (c *Console) Failed() <-chan struct{} { return c.done }

// Err is what made the boot fail, a *FatalError, or nil.
func (c *Console) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		return nil
	}
	return c.failed
}

// Tail is the last n lines of the console as plain text.
func (c *Console) Tail(n int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := strings.Split(strings.TrimRight(Plain(c.tail), "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}

// escapes are terminal control sequences (ECMA-48): CSI, OSC, and two-byte ones.
var escapes = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])`)

// Plain strips terminal control from console output; lines end with \n alone.
func Plain(p []byte) string {
	p = escapes.ReplaceAll(p, nil)
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(p), "\uFFFD"))
}

// withTail appends the end of the console to an error for a person.
func (c *Console) withTail(err error) error {
	if err == nil {
		return nil
	}
	return &tailError{err: err, tail: excerpt(c.text())}
}

type tailError struct {
	err  error
	tail string
}

func (e *tailError) Error() string {
	if strings.TrimSpace(e.tail) == "" {
		return fmt.Sprintf("%v (nothing on the console)", e.err)
	}
	return fmt.Sprintf("%v\nend of the console:\n  | %s", e.err, strings.ReplaceAll(e.tail, "\n", "\n  | "))
}

func (e *tailError) Unwrap() error { return e.err }
