package kola

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/nestos/nosa-actions/internal/diag"
)

// skipConsoleWarnings is a denylist pattern of its own: what is found on a
// console only warns, in the whole run.
const skipConsoleWarnings = "skip-console-warnings"

// Denial is one entry of a denylist (kola-denylist.yaml of a config).
type Denial struct {
	Pattern   string   `yaml:"pattern"` // glob on names
	Tracker   string   `yaml:"tracker"` // URL
	Streams   []string `yaml:"streams"`
	OSVersion []string `yaml:"osversion"`
	Arches    []string `yaml:"arches"`
	Platforms []string `yaml:"platforms"`
	Snooze    string   `yaml:"snooze"` // YYYY-MM-DD: skipped before, tried again from then on
	Warn      bool     `yaml:"warn"`   // run, but a failure only warns

	until time.Time
}

// Situation is what the conditions of a denylist are compared with; an empty
// Stream or OSVersion fits every condition.
type Situation struct {
	Stream, OSVersion, Arch, Platform string
	Now                               time.Time
}

// LoadDenylist reads a denylist; a missing file is an empty one. Unknown keys
// are left alone.
func LoadDenylist(file string) ([]Denial, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseDenylist(file, data)
}

func parseDenylist(file string, data []byte) ([]Denial, error) {
	var list diag.List
	var nodes []yaml.Node
	if err := yaml.Unmarshal(data, &nodes); err != nil {
		list.Addf(diag.Pos{File: file}, "not a list of objects: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		return nil, list.Err()
	}
	var out []Denial
	for _, n := range nodes {
		pos := diag.Pos{File: file, Line: n.Line, Column: n.Column}
		var d Denial
		if err := n.Decode(&d); err != nil {
			list.Addf(pos, "bad entry: %s", strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: unmarshal errors:")), " "))
			continue
		}
		if _, err := path.Match(d.Pattern, ""); err != nil || d.Pattern == "" {
			list.Addf(pos, "pattern %q is not a glob", d.Pattern)
		}
		if d.Snooze != "" {
			until, err := time.Parse(time.DateOnly, d.Snooze)
			if d.until = until; err != nil {
				list.Addf(pos, "snooze %q is not a date of the form YYYY-MM-DD", d.Snooze)
			}
		}
		out = append(out, d)
	}
	return out, list.Err()
}

// applies tells whether the conditions of the entry hold.
func (d Denial) applies(s Situation) bool {
	holds := func(names []string, is string) bool {
		return len(names) == 0 || is == "" || slices.Contains(names, is)
	}
	return holds(d.Streams, s.Stream) && holds(d.OSVersion, s.OSVersion) &&
		holds(d.Arches, s.Arch) && holds(d.Platforms, s.Platform)
}

// sentence is what becomes of the tests of an entry.
type sentence int

const (
	run sentence = iota
	warn
	skip
)

// judge tells what becomes of the entry's tests now, and why.
func (d Denial) judge(now time.Time) (sentence, string) {
	tracker := ""
	if d.Tracker != "" {
		tracker = ": " + d.Tracker
	}
	switch {
	case !d.until.IsZero() && now.Before(d.until):
		return skip, fmt.Sprintf("snoozed until %s%s", d.Snooze, tracker)
	case d.Warn:
		return warn, "may only warn" + tracker
	case !d.until.IsZero():
		return run, fmt.Sprintf("snooze ended %s%s", d.Snooze, tracker)
	default:
		return skip, "on the denylist" + tracker
	}
}
