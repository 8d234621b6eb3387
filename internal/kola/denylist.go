package kola

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
)

// skipConsoleWarnings is a denylist pattern of its own: what is found on a
// console only warns, in the whole run.
const skipConsoleWarnings = "skip-console-warnings"

// Denial is one entry of a denylist (kola-denylist.yaml of a config).
type Denial struct {
	Pattern   string   // glob on names
	Tracker   string   // URL; may be empty
	Streams   []string // none: all; so with the three below
	OSVersion []string
	Arches    []string
	Platforms []string
	Snooze    string    // Until as written
	Until     time.Time // tests are skipped before, and tried again from then on
	Warn      bool      // run, but a failure only warns
	Pos       diag.Pos  // of the pattern
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
	var found diag.List
	entries, err := ReadDenylist(file, &found)
	if err != nil {
		return nil, err
	}
	return entries, found.Err()
}

// ReadDenylist reads a denylist and gathers what is wrong with it in found, an
// unknown key as a warning. A missing file is an empty list.
func ReadDenylist(file string, found *diag.List) ([]Denial, error) {
	doc, err := document.Load(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if findings := diag.Findings(err); findings != nil {
		found.Findings = append(found.Findings, findings...)
	} else if err != nil {
		return nil, err
	}
	return denials(doc, found), nil
}

func denials(doc document.Node, found *diag.List) []Denial {
	if doc.Kind == document.Null || !doc.Expect(found, document.List) {
		return nil
	}
	var out []Denial
	for _, n := range doc.Items {
		before := len(found.Findings)
		if d := denial(n, found); !faulty(found.Findings[before:]) {
			out = append(out, d)
		}
	}
	return out
}

func faulty(findings []diag.Finding) bool {
	return slices.ContainsFunc(findings, func(f diag.Finding) bool { return f.Severity == diag.Error })
}

// denial reads one entry.
func denial(n document.Node, found *diag.List) Denial {
	d := Denial{Pos: n.Pos}
	if !n.Expect(found, document.Map) {
		return d
	}
	for _, f := range n.Fields {
		switch v := f.Value; f.Key {
		case "pattern":
			d.Pattern, _ = v.AsString(found)
			d.Pos = v.Pos
		case "tracker":
			d.Tracker, _ = v.AsString(found)
		case "streams":
			d.Streams = names(v, found)
		case "osversion":
			d.OSVersion = names(v, found)
		case "arches":
			d.Arches = limited(v, limits["architectures"], found)
		case "platforms":
			d.Platforms = limited(v, limits["platforms"], found)
		case "snooze":
			d.snooze(v, found)
		case "warn":
			d.Warn, _ = v.AsBool(found)
		default:
			unknown := document.Unknown(f, denialKeys)
			unknown.Severity = diag.Warning
			found.Add(unknown)
		}
	}
	if _, err := path.Match(d.Pattern, ""); err != nil || d.Pattern == "" {
		found.Addf(d.Pos, "pattern %q is not a glob", d.Pattern)
	}
	return d
}

var denialKeys = []string{"pattern", "tracker", "streams", "osversion", "arches", "platforms", "snooze", "warn"}

func (d *Denial) snooze(n document.Node, found *diag.List) {
	text, ok := n.AsString(found)
	if !ok {
		return
	}
	until, err := time.Parse(time.DateOnly, text)
	if err != nil {
		n.Reject(found, fmt.Sprintf("%q is not a date of the form YYYY-MM-DD", text), "")
	}
	d.Snooze, d.Until = text, until
}

// names is a list of words; a version that YAML takes for a number is one too.
func names(n document.Node, found *diag.List) []string {
	if n.Kind == document.Null || !n.Expect(found, document.List) {
		return nil
	}
	var out []string
	for _, item := range n.Items {
		if item.Expect(found, document.String, document.Int, document.Float) {
			out = append(out, item.Text)
		}
	}
	return out
}

// limited is a list of known words.
func limited(n document.Node, known []string, found *diag.List) []string {
	for _, item := range n.Items {
		if item.Kind == document.String {
			warnUnknown(item.Pos, item.Path, item.Text, known, found)
		}
	}
	return names(n, found)
}

// Fits tells whether the pattern is that of the test, or is no name of tests at
// all but a word of its own.
func (d Denial) Fits(name string) bool {
	return d.Pattern == skipConsoleWarnings || matches(d.Pattern, name)
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
	case !d.Until.IsZero() && now.Before(d.Until):
		return skip, fmt.Sprintf("snoozed until %s%s", d.Snooze, tracker)
	case d.Warn:
		return warn, "may only warn" + tracker
	case !d.Until.IsZero():
		return run, fmt.Sprintf("snooze ended %s%s", d.Snooze, tracker)
	default:
		return skip, "on the denylist" + tracker
	}
}
