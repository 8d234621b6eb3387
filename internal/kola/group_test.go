package kola

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/machine"
)

func named(name string, change func(*Selected)) Selected {
	s := Selected{Case: Case{Name: name, Executable: "/" + name, Meta: Meta{NonExclusive: true}}}
	if change != nil {
		change(&s)
	}
	return s
}

func TestTestsShareAGuestUnlessSomethingSpeaksAgainstIt(t *testing.T) {
	tests := []Selected{
		named("a", nil),
		named("exclusive", func(s *Selected) { s.Meta.NonExclusive = false }),
		named("b", func(s *Selected) { s.Meta.Conflicts = []string{"a"} }),
		named("c", nil),
		named("warns", func(s *Selected) { s.ConfigWarnings = []string{"w"} }),
		named("unchecked", func(s *Selected) { s.Meta.Tags = []string{"skip-base-checks"} }),
		named("d", nil),
	}
	var got []string
	numbers := map[string]int{}
	for _, g := range mustGroup(t, tests) {
		got = append(got, g.name+": "+g.describe())
		for _, m := range g.members {
			numbers[m.Name] = m.number
		}
	}
	require.Equal(t, []string{
		"exclusive: exclusive", "warns: warns", "unchecked: unchecked",
		"non-exclusive-test-bucket-0: a, c, d", "b: b",
	}, got)
	require.Equal(t, map[string]int{"a": 1, "c": 2, "d": 3, "b": 0, "exclusive": 0, "warns": 0, "unchecked": 0}, numbers)
}

func TestEveryTestIsInExactlyOneGroup(t *testing.T) {
	var tests []Selected
	for i := range 40 {
		tests = append(tests, named(strings.Repeat("x", i+1), func(s *Selected) {
			if i%3 == 0 {
				s.Meta.Conflicts = []string{strings.Repeat("x", i+2)}
			}
		}))
	}
	seen := map[string]int{}
	for _, g := range mustGroup(t, tests) {
		for i, m := range g.members {
			seen[m.Name]++
			for _, other := range g.members[i+1:] {
				require.False(t, conflict(m.Selected, other.Selected), "%s and %s", m.Name, other.Name)
			}
		}
	}
	require.Len(t, seen, len(tests))
	for name, n := range seen {
		require.Equal(t, 1, n, name)
	}
}

func TestWhatIsWrongWithASharedGuestFailsTheGroupOnly(t *testing.T) {
	two := group{"non-exclusive-test-bucket-0", []member{{named("a", nil), 1}, {named("b", nil), 2}}}
	passed := []Result{{Name: "a", Verdict: Pass}, {Name: "b", Verdict: Pass}}

	res := (&trial{group: two, members: passed, failures: []error{errors.New("a unit failed")}}).result()
	require.Equal(t, Fail, res.Verdict)
	require.Equal(t, "a unit failed", res.Output)
	require.Equal(t, passed, res.Subtests)

	res = (&trial{group: two, members: []Result{passed[0], {Name: "b", Verdict: Fail, Output: "no"}}}).result()
	require.Equal(t, Fail, res.Verdict)
	require.Empty(t, res.Output, "it is told of the test")

	alone := group{"a", two.members[:1]}
	checks := []Result{{Name: "a/x", Verdict: Pass}}
	res = (&trial{group: alone, members: []Result{{Name: "a", Verdict: Fail, Output: "no", Subtests: checks}}, warnings: []string{"slow"}}).result()
	require.Equal(t, Result{Name: "a", Verdict: Fail, Output: "no\nwarning: slow", Subtests: checks}, res)
}

func mustGroup(t *testing.T, tests []Selected) []group {
	t.Helper()
	out, err := groups(tests)
	require.NoError(t, err)
	return out
}

func TestABucketWhoseConfigIsTooLargeIsHalved(t *testing.T) {
	sized := func(name string, bytes int) Selected {
		s := named(name, nil)
		s.Config = machine.Config{Name: name, JSON: []byte(`{"ignition":{"version":"3.0.0"},"storage":{"files":[{"path":"/etc/` + name +
			`","contents":{"source":"data:,` + strings.Repeat("x", bytes) + `"}}]}}`)}
		return s
	}
	var got []string
	for _, g := range mustGroup(t, []Selected{sized("a", maxConfig/2), sized("b", maxConfig/3), sized("c", maxConfig/3), sized("d", maxConfig/3)}) {
		got = append(got, g.name+": "+g.describe())
	}
	require.Equal(t, []string{"non-exclusive-test-bucket-0: a, b", "non-exclusive-test-bucket-1: c, d"}, got)

	_, err := groups([]Selected{sized("small", 1), sized("large", maxConfig)})
	require.ErrorContains(t, err, "test large: its config and executable take 4 MiB")
}
