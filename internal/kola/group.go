package kola

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/machine"
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
func groups(tests []Selected) ([]group, error) {
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
	number, buckets := 0, 0
	for _, tests := range shared {
		parts, err := fitting(tests)
		if err != nil {
			return nil, err
		}
		for _, tests := range parts {
			if len(tests) == 1 {
				out = append(out, group{tests[0].Name, []member{{Selected: tests[0]}}})
				continue
			}
			g := group{name: fmt.Sprintf("non-exclusive-test-bucket-%d", buckets)}
			buckets++
			for _, test := range tests {
				number++
				g.members = append(g.members, member{test, number})
			}
			out = append(out, g)
		}
	}
	return out, nil
}

// maxConfig is the largest Ignition config, in bytes, that a shared guest gets.
// The firmware hands it over in pieces of a page, and Ignition holds it several
// times over in the memory of the smallest guest.
const maxConfig = 4 << 20

// fitting halves a list of tests until the configs of each part, merged, are not
// too large for a guest.
func fitting(tests []Selected) ([][]Selected, error) {
	var configs []machine.Config
	size := 0
	for _, t := range tests {
		if len(t.Config.JSON) > 0 {
			configs = append(configs, t.Config)
		}
		if info, err := os.Stat(t.Executable); err == nil && t.Executable != "" {
			size += int(info.Size())
		}
	}
	if len(configs) > 0 {
		merged, _, err := machine.Merge(configs...)
		if err != nil {
			return nil, err
		}
		size += len(merged)
	}
	switch {
	case size <= maxConfig:
		return [][]Selected{tests}, nil
	case len(tests) == 1:
		return nil, fmt.Errorf("test %s: its config and executable take %d MiB, more than a guest is given (%d MiB); put what is large into data/",
			tests[0].Name, size>>20, maxConfig>>20)
	}
	first, err := fitting(tests[:len(tests)/2])
	if err != nil {
		return nil, err
	}
	second, err := fitting(tests[len(tests)/2:])
	return append(first, second...), err
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
