package kola

import (
	"fmt"
	"hash/fnv"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Filter chooses tests.
type Filter struct {
	Patterns []string // globs on names; a test may be chosen by tag instead
	Tags     []string // "T" asks for a tag, "!T" forbids it
	Deny     []string // globs on names
	Denylist []Denial
	At       Situation
	Distro   string
	NoNet    bool // leave out what needs the internet
	// Anywhere runs tests with the tag platform-independent on other platforms
	// than qemu too.
	Anywhere bool
	Shard    Shard
	Multiply int // run each test so many times; 0: once
}

// Selected is a test that runs, and how its failure counts.
type Selected struct {
	Case
	Warn bool // a failure only warns
}

// Selection is what a filter chose.
type Selection struct {
	Tests []Selected // sorted by name
	// LenientConsole: what is found on consoles only warns.
	LenientConsole bool
	Notes          []string // what the denylist did, for a person
}

// Select chooses among the cases. A pattern that fits no test at all, and two
// tests of one name, are errors.
func (f Filter) Select(cases []Case) (Selection, error) {
	var out Selection
	if err := f.check(cases); err != nil {
		return out, err
	}
	for _, d := range f.Denylist {
		if d.Pattern == skipConsoleWarnings && d.applies(f.At) {
			out.LenientConsole = true
		}
	}
	for _, c := range cases {
		if !f.wants(c) {
			continue
		}
		if !f.Shard.has(c.Name) {
			continue
		}
		verdict, why := f.denied(c.Name)
		if why != "" {
			out.Notes = append(out.Notes, c.Name+": "+why)
		}
		if verdict != skip {
			out.Tests = append(out.Tests, f.multiplied(Selected{Case: c, Warn: verdict == warn})...)
		}
	}
	slices.SortFunc(out.Tests, func(a, b Selected) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (f Filter) check(cases []Case) error {
	names := map[string]bool{}
	for _, c := range cases {
		if names[c.Name] {
			return fmt.Errorf("two tests are called %s", c.Name)
		}
		names[c.Name] = true
	}
	for _, pattern := range f.Patterns {
		fits := func(c Case) bool { return matches(pattern, c.Name) }
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("pattern %q: %w", pattern, err)
		}
		if !slices.ContainsFunc(cases, fits) {
			return fmt.Errorf("no test fits the pattern %q", pattern)
		}
	}
	return nil
}

// wants applies all conditions but the denylist.
func (f Filter) wants(c Case) bool {
	if f.NoNet && c.HasTag("needs-internet") {
		return false
	}
	if c.HasTag("platform-independent") && !f.Anywhere && f.At.Platform != "qemu" {
		return false
	}
	tagged := false
	for _, tag := range f.Tags {
		if forbidden, ok := strings.CutPrefix(tag, "!"); ok {
			if c.HasTag(forbidden) {
				return false
			}
			continue
		}
		tagged = tagged || c.HasTag(tag)
	}
	named := slices.ContainsFunc(f.Patterns, func(p string) bool { return matches(p, c.Name) })
	asked := slices.ContainsFunc(f.Tags, func(t string) bool { return !strings.HasPrefix(t, "!") })
	switch {
	case c.Meta.RequiredTag != "" && !slices.Contains(f.Tags, c.Meta.RequiredTag) && !f.spelled(c.Name):
		return false
	case len(f.Patterns) > 0 && !named && !tagged:
		return false
	case len(f.Patterns) == 0 && asked && !tagged:
		return false
	}
	return c.Meta.Platforms.Allows(f.At.Platform) && c.Meta.Architectures.Allows(f.At.Arch) && c.Meta.Distros.Allows(f.Distro)
}

// multiplied are the copies of a test, each in a guest of its own, called NAME0,
// NAME1 and so on.
func (f Filter) multiplied(s Selected) []Selected {
	if f.Multiply < 2 {
		return []Selected{s}
	}
	out := make([]Selected, f.Multiply)
	for i := range out {
		out[i] = s
		out[i].Name = fmt.Sprintf("%s%d", s.Name, i)
		out[i].Meta.NonExclusive, out[i].Meta.Conflicts = false, nil
	}
	return out
}

// Shard is one of the parts into which runs on several machines divide the
// tests. The zero value is all of them.
type Shard struct{ Part, Parts int } // Part counts from 1

// ParseShard reads hash:M/N.
func ParseShard(text string) (Shard, error) {
	var s Shard
	rest, ok := strings.CutPrefix(text, "hash:")
	part, parts, cut := strings.Cut(rest, "/")
	var err1, err2 error
	s.Part, err1 = strconv.Atoi(part)
	s.Parts, err2 = strconv.Atoi(parts)
	if !ok || !cut || err1 != nil || err2 != nil || s.Part < 1 || s.Part > s.Parts {
		return Shard{}, fmt.Errorf("sharding %q: must be hash:M/N with M from 1 to N, for example hash:1/3", text)
	}
	return s, nil
}

// has tells by the hash of its name (FNV-1, 64 bits) whether a test belongs to
// the part.
func (s Shard) has(name string) bool {
	if s.Parts == 0 {
		return true
	}
	h := fnv.New64()
	h.Write([]byte(name))
	return h.Sum64()%uint64(s.Parts)+1 == uint64(s.Part)
}

// spelled tells whether the user named the test itself; a lone star does not.
func (f Filter) spelled(name string) bool {
	return slices.ContainsFunc(f.Patterns, func(p string) bool { return p != "*" && matches(p, name) })
}

// denied finds the strictest entry for a test; why may tell of a mere note.
func (f Filter) denied(name string) (verdict sentence, why string) {
	for _, pattern := range f.Deny {
		if matches(pattern, name) {
			return skip, "left out by " + pattern
		}
	}
	for _, d := range f.Denylist {
		if !matches(d.Pattern, name) || !d.applies(f.At) {
			continue
		}
		if s, text := d.judge(f.At.Now); s > verdict || why == "" {
			verdict, why = s, text
		}
	}
	return verdict, why
}

// matches tells whether a name fits a glob. A star also spans "/", which names
// of subtests contain.
func matches(pattern, name string) bool {
	ok, err := path.Match(strings.ReplaceAll(pattern, "/", "\x00"), strings.ReplaceAll(name, "/", "\x00"))
	return err == nil && ok
}
