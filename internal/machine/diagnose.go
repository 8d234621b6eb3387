package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
)

// loops are words that a start says once, and how often they may come before
// somebody can log in. A first boot may start the kernel a second and a third
// time, to change its arguments or to label files.
var loops = []struct {
	what    string
	pattern *regexp.Regexp
	limit   int
}{
	{"the kernel", regexp.MustCompile(`\bLinux version \d`), 4},
	{"the boot loader", regexp.MustCompile(`Welcome to GRUB!|\bGNU GRUB +version`), 6},
	{"the firmware", regexp.MustCompile(`BdsDxe: starting Boot\d|SeaBIOS \(version`), 8},
}

// symptoms are what a console says that keeps people out although the start went
// on, the more certain first. The first capture group, if any, is the detail.
var symptoms = []struct {
	what    string
	pattern *regexp.Regexp
}{
	{"its disk is full", regexp.MustCompile(`(?m)^(?:\[ *\d+\.\d+\] )?(.*No space left on device)`)},
	{"it ran out of memory", regexp.MustCompile(`(?:Out of memory: Killed process \d+ \(([^)]+)\))|invoked oom-killer`)},
	{"sshd did not start", regexp.MustCompile(`Failed to start (?:.*\b)?((?:OpenSSH|sshd?\b|OpenBSD Secure Shell).*)`)},
	{"its network did not come up", regexp.MustCompile(`(?:Failed to start|Timed out waiting for|Dependency failed for) (.*(?:[Nn]etwork|NetworkManager|DHCP).*)`)},
	{"a file system is damaged or missing", regexp.MustCompile(`(?:Failed to mount|Dependency failed for|Timed out waiting for device) (.*)`)},
	{"a unit failed", regexp.MustCompile(`Failed to start (.*)`)},
}

// loginPrompt is the end of a start on a console.
var loginPrompt = regexp.MustCompile(`(?m)^\S+ login: ?`)

// diagnose says in a few words why nobody could log in, from what the console
// says and how the last attempt ended; "" if it cannot tell.
func diagnose(console string, last error) string {
	for _, s := range symptoms {
		if m := s.pattern.FindStringSubmatch(console); m != nil {
			detail := ""
			for _, group := range m[1:] {
				if group != "" {
					detail = ": " + strings.TrimSpace(strings.TrimRight(group, ". \r\n"))
					break
				}
			}
			return s.what + detail
		}
	}
	up := ""
	if loginPrompt.MatchString(console) {
		up = "the system is up, but "
	}
	switch {
	case last == nil:
		return ""
	case strings.Contains(last.Error(), "unable to authenticate"):
		return up + "sshd refuses the key of the user " + User
	case errors.Is(last, io.EOF), errors.Is(last, syscall.ECONNRESET), errors.Is(last, syscall.EPIPE):
		return up + "nothing listens on its ssh port"
	case isTimeout(last) && up != "":
		return up + "it cannot be reached: it has no network"
	}
	return ""
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// matters are lines of a console that a person looks for.
var matters = regexp.MustCompile(`(?i)\bfail(?:ed|ure)\b|\berrors?\b|no space left|timed out|denied|\bpanic\b|dependency failed|out of memory|emergency`)

const (
	tailLines   = 25 // of the end of a console
	matterLines = 10 // of those that matter before
)

// excerpt is the part of a console that matters: its end, and the last lines
// before that which tell of failures.
func excerpt(console string) string {
	lines := strings.Split(strings.TrimRight(console, "\n"), "\n")
	at := max(0, len(lines)-tailLines)
	var before []string
	for i := at - 1; i >= 0 && len(before) < matterLines; i-- {
		if matters.MatchString(lines[i]) {
			before = append([]string{lines[i]}, before...)
		}
	}
	if len(before) > 0 {
		before = append(before, "...")
	}
	return strings.Join(append(before, lines[at:]...), "\n")
}

// looping counts the starts on a console and says when there are too many.
type looping struct{ seen []int }

func (l *looping) line(text string) *FatalError {
	if l.seen == nil {
		l.seen = make([]int, len(loops))
	}
	for i, loop := range loops {
		if !loop.pattern.MatchString(text) {
			continue
		}
		if l.seen[i]++; l.seen[i] >= loop.limit {
			return &FatalError{What: "boot loop", Detail: fmt.Sprintf("%s started %d times, and nobody could log in", loop.what, l.seen[i])}
		}
	}
	return nil
}
