package kola

import (
	"fmt"
	"slices"
	"strings"
)

// group are the tests that share one guest, one after the other.
type group struct {
	name    string
	members []member
}

// member is a test in a group. Its number is unique in the run and begins at 1;
// 0 is a test that has its guest to itself.
type member struct {
	Selected
	number int
}

// alone tells whether the test cannot share a guest, whatever its header says.
func (s Selected) alone() bool {
	return !s.Meta.NonExclusive || s.HasTag("skip-base-checks") || s.refused() != ""
}

// groups puts each exclusive test into a guest of its own and all others into as
// few as possible: a test goes to the first shared guest in which none conflicts
// with it. A shared guest that ends up with one test is an ordinary one.
func groups(tests []Selected) []group {
	var out []group
	var shared [][]Selected
	for _, test := range tests {
		if test.alone() {
			out = append(out, group{test.Name, []member{{Selected: test}}})
			continue
		}
		at := slices.IndexFunc(shared, func(in []Selected) bool {
			return !slices.ContainsFunc(in, func(other Selected) bool { return conflict(test, other) })
		})
		if at < 0 {
			shared = append(shared, nil)
			at = len(shared) - 1
		}
		shared[at] = append(shared[at], test)
	}
	number := 0
	for i, tests := range shared {
		if len(tests) == 1 {
			out = append(out, group{tests[0].Name, []member{{Selected: tests[0]}}})
			continue
		}
		g := group{name: fmt.Sprintf("non-exclusive-test-bucket-%d", i)}
		for _, test := range tests {
			number++
			g.members = append(g.members, member{test, number})
		}
		out = append(out, g)
	}
	return out
}

// conflict holds if either test names the other.
func conflict(a, b Selected) bool {
	return slices.Contains(a.Meta.Conflicts, b.Name) || slices.Contains(b.Meta.Conflicts, a.Name)
}

// describe names the tests of the group, for people.
func (g group) describe() string {
	names := make([]string, len(g.members))
	for i, m := range g.members {
		names[i] = m.Name
	}
	return strings.Join(names, ", ")
}

// skipsBaseChecks is true for a test that asks for it; such a test is alone.
func (g group) skipsBaseChecks() bool { return g.members[0].HasTag("skip-base-checks") }
