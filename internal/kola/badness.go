package kola

import (
	"regexp"
	"strings"
)

// Badness is something on the console or in the journal that a healthy guest
// does not say.
type Badness struct {
	What   string
	Detail string // may be empty
	Warn   bool   // not serious enough to fail a test
}

// String prints "WHAT (DETAIL)".
func (b Badness) String() string {
	if b.Detail == "" {
		return b.What
	}
	return b.What + " (" + b.Detail + ")"
}

// badness lists the patterns, matched line by line. The first capture group is
// the detail.
var badness = []struct {
	what    string
	pattern *regexp.Regexp
	warn    bool
	atLeast int // hits before it counts; 0: one
}{
	{what: "emergency shell", pattern: regexp.MustCompile(`Press Enter for emergency shell|Starting Emergency Shell|You are in emergency mode`)},
	{what: "dracut fatal", pattern: regexp.MustCompile(`dracut: (Refusing to continue)`)},
	{what: "kernel panic", pattern: regexp.MustCompile(`Kernel panic - not syncing: (.*)`)},
	{what: "kernel oops", pattern: regexp.MustCompile(`\bOops:`)},
	{what: "kernel soft lockup", pattern: regexp.MustCompile(`watchdog: BUG: (soft lockup - CPU.*)`), warn: true},
	{what: "kernel warning", pattern: regexp.MustCompile(`WARNING: CPU: \d+ PID: \d+ at (.+)`)},
	{what: "failure of disk under I/O", pattern: regexp.MustCompile(`rejecting I/O to offline device`)},
	{what: "excessive bonding link status messages", pattern: regexp.MustCompile(`link status up for interface`), atLeast: 10},
	{what: "ext4 delayed allocation failure", pattern: regexp.MustCompile(`EXT4-fs \([^)]+\): (Delayed block allocation failed.*)`)},
	{what: "GRUB memory corruption", pattern: regexp.MustCompile(`((?:alloc|free) magic (?:is )?(?:broken|at).*)`)},
	{what: "Ignition fetch cancellation race", pattern: regexp.MustCompile(`ignition\[\d+\]: (?:\S+: )?(failed to fetch config: context canceled)`)},
	{what: "initrd-cleanup killed", pattern: regexp.MustCompile(`initrd-cleanup\.service: Main process exited, code=(?:killed|exited), status=(15/TERM)`)},
	{what: "Go panic", pattern: regexp.MustCompile(`(?:^|\s)panic: (.*)`)},
	{what: "segfault", pattern: regexp.MustCompile(`(SIGSEGV|=11/SEGV)`)},
	{what: "core dump", pattern: regexp.MustCompile(`[Cc]ore dump`)},
	{what: "systemd ordering cycle", pattern: regexp.MustCompile(`(Ordering cycle found.*)`)},
	{what: "out of memory", pattern: regexp.MustCompile(`(\S+) invoked oom-killer`)},
	{what: "full disk", pattern: regexp.MustCompile(`(.*No space left on device.*)`), warn: true},
	{what: "systemd generator failure", pattern: regexp.MustCompile(`(\S*/system-generators/\S+) (?:failed with exit status|terminated by signal|failed due to unknown reason)`)},
}

// FindBadness searches plain text; each kind is reported once, with the detail
// of its first place.
func FindBadness(text string) []Badness {
	found := make([]*Badness, len(badness))
	hits := make([]int, len(badness))
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		for i, b := range badness {
			m := b.pattern.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			hits[i]++
			if found[i] != nil || hits[i] < b.atLeast {
				continue
			}
			found[i] = &Badness{What: b.what, Warn: b.warn}
			if len(m) > 1 {
				found[i].Detail = strings.TrimSpace(m[1])
			}
		}
	}
	var out []Badness
	for _, b := range found {
		if b != nil {
			out = append(out, *b)
		}
	}
	return out
}
