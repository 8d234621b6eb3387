package kola

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
)

func TestSelect(t *testing.T) {
	cases := []Case{
		{Name: "basic"},
		{Name: "ext.config.a", Executable: "a", Meta: Meta{Tags: []string{"slow"}}},
		{Name: "ext.config.b", Executable: "b", Meta: Meta{Tags: []string{"needs-internet"}}},
		{Name: "ext.config.c", Executable: "c", Meta: Meta{RequiredTag: "special", Tags: []string{"special"}}},
		{Name: "ext.config.d", Executable: "d", Meta: Meta{Distros: parseOnly("fcos")}},
		{Name: "ext.config.e", Executable: "e", Meta: Meta{Platforms: parseOnly("!qemu")}},
		{Name: "ext.config.f", Executable: "f", Meta: Meta{Architectures: parseOnly("aarch64")}},
	}
	now := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	denied := func(entries string) []Denial {
		list, err := parseDenylist(entries)
		require.NoError(t, err)
		return list
	}
	for name, c := range map[string]struct {
		filter Filter
		want   []string // "warn NAME" where a failure only warns
	}{
		"all":               {Filter{}, []string{"basic", "ext.config.a", "ext.config.b"}},
		"glob":              {Filter{Patterns: []string{"ext.*"}}, []string{"ext.config.a", "ext.config.b", "ext.config.c"}},
		"tag":               {Filter{Tags: []string{"slow"}}, []string{"ext.config.a"}},
		"every external":    {Filter{Tags: []string{"external"}}, []string{"ext.config.a", "ext.config.b"}},
		"name or tag":       {Filter{Patterns: []string{"basic"}, Tags: []string{"slow"}}, []string{"basic", "ext.config.a"}},
		"forbidden tag":     {Filter{Tags: []string{"!slow"}}, []string{"basic", "ext.config.b"}},
		"no net":            {Filter{NoNet: true}, []string{"basic", "ext.config.a"}},
		"required tag":      {Filter{Tags: []string{"special"}}, []string{"ext.config.c"}},
		"required, named":   {Filter{Patterns: []string{"ext.config.c"}}, []string{"ext.config.c"}},
		"required, by star": {Filter{Patterns: []string{"*"}}, []string{"basic", "ext.config.a", "ext.config.b"}},
		"denied by flag":    {Filter{Deny: []string{"ext.*"}}, []string{"basic"}},
		"denied":            {Filter{Denylist: denied("- pattern: ext.*\n")}, []string{"basic"}},
		"another stream":    {Filter{Denylist: denied("- pattern: '*'\n  streams: [stable]\n")}, []string{"basic", "ext.config.a", "ext.config.b"}},
		"another arch":      {Filter{Denylist: denied("- pattern: '*'\n  arches: [aarch64]\n")}, []string{"basic", "ext.config.a", "ext.config.b"}},
		"this stream":       {Filter{Denylist: denied("- pattern: '*.a'\n  streams: [next, stable]\n  platforms: [qemu]\n"), At: Situation{Stream: "next"}}, []string{"basic", "ext.config.b"}},
		"snoozed":           {Filter{Denylist: denied("- pattern: '*.a'\n  snooze: 2026-07-02\n")}, []string{"basic", "ext.config.b"}},
		"snooze over":       {Filter{Denylist: denied("- pattern: '*.a'\n  snooze: 2026-06-30\n")}, []string{"basic", "ext.config.a", "ext.config.b"}},
		"warn":              {Filter{Denylist: denied("- pattern: '*.a'\n  warn: true\n")}, []string{"basic", "warn ext.config.a", "ext.config.b"}},
		"snooze, then warn": {Filter{Denylist: denied("- pattern: '*.a'\n  warn: true\n  snooze: 2026-08-01\n")}, []string{"basic", "ext.config.b"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := c.filter
			f.Distro, f.At.Arch, f.At.Platform, f.At.Now = "nestos", "x86_64", "qemu", now
			if f.At.Stream == "" {
				f.At.Stream = "devel"
			}
			got, err := f.Select(cases)
			require.NoError(t, err)
			var names []string
			for _, s := range got.Tests {
				name := s.Name
				if s.Warn {
					name = "warn " + name
				}
				names = append(names, name)
			}
			require.Equal(t, c.want, names)
		})
	}
}

func TestSelectRefuses(t *testing.T) {
	_, err := Filter{Patterns: []string{"basic", "nothing.*"}}.Select([]Case{{Name: "basic"}})
	require.EqualError(t, err, `no test fits the pattern "nothing.*"`)
	_, err = Filter{}.Select([]Case{{Name: "a"}, {Name: "a"}})
	require.EqualError(t, err, "two tests are called a")
	_, err = Filter{Patterns: []string{"[a"}}.Select([]Case{{Name: "a"}})
	require.ErrorContains(t, err, "syntax error in pattern")
}

func TestConsoleMayBeLeftLenient(t *testing.T) {
	list, err := parseDenylist("- pattern: skip-console-warnings\n")
	require.NoError(t, err)
	got, err := Filter{Denylist: list}.Select([]Case{{Name: "a"}})
	require.NoError(t, err)
	require.True(t, got.LenientConsole)
	require.Len(t, got.Tests, 1)
}

func TestDenylistOfARealConfig(t *testing.T) {
	for _, config := range []string{"nestos-config", "fedora-coreos-config"} {
		file := filepath.Join("..", "..", "..", "shared", "data", config, "kola-denylist.yaml")
		if _, err := os.Stat(file); err != nil {
			t.Skipf("no real config beside the repository: %v", err)
		}
		list, err := LoadDenylist(file)
		require.NoError(t, err)
		require.NotEmpty(t, list)
	}
}

// parseDenylist reads a denylist called d.yaml.
func parseDenylist(text string) ([]Denial, error) {
	doc, err := document.Parse("d.yaml", []byte(text))
	if err != nil {
		return nil, err
	}
	var found diag.List
	return denials(doc, &found), found.Err()
}

func TestDenylistsThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		"- pattern: a\n  snooze: soon\n- snooze: 2020-01-01\n": "d.yaml:2:11: [0].snooze: \"soon\" is not a date of the form YYYY-MM-DD\nd.yaml:3:3: pattern \"\" is not a glob",
		"- pattern: '[a'\n":                       "d.yaml:1:12: pattern \"[a\" is not a glob",
		"pattern: a\n":                            "d.yaml:1:1: must be a list, not a mapping",
		"- pattern: a\n  streams: {a: b}\n":       "d.yaml:2:12: [0].streams: must be a list, not a mapping",
		"- pattern: a\n  arches: [[x]]\n":         "d.yaml:2:12: [0].arches[0]: must be a string or an integer or a number, not a list",
		"- pattern: a\n  warn: yes\n  snoze: x\n": "d.yaml:2:9: [0].warn: must be a boolean, not the string \"yes\"; write true or false, without quotes\nd.yaml:3:3: warning: unknown key \"[0].snoze\"; did you mean \"snooze\"?",
	} {
		_, err := parseDenylist(text)
		require.EqualError(t, err, want)
	}
	list, err := LoadDenylist(filepath.Join(t.TempDir(), "none.yaml"))
	require.NoError(t, err)
	require.Empty(t, list)
}

func TestAnUnknownKeyOfADenylistStopsNothing(t *testing.T) {
	list, err := parseDenylist("- pattern: a\n  osversion: [24.03, 9]\n  owner: me\n")
	require.NoError(t, err)
	require.Equal(t, []string{"24.03", "9"}, list[0].OSVersion, "what YAML takes for a number is a version")
}

func FuzzDenylist(f *testing.F) {
	f.Add("- pattern: a\n  snooze: 2020-01-01\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseDenylist(text)
		if err != nil {
			require.NotEmpty(t, diag.Findings(err))
		}
		for _, d := range list {
			require.Positive(t, d.Pos.Line)
		}
	})
}

func TestShardsDivideTheTests(t *testing.T) {
	var cases []Case
	for i := range 50 {
		cases = append(cases, Case{Name: fmt.Sprintf("ext.config.test-%d", i)})
	}
	seen := map[string]int{}
	for part := 1; part <= 3; part++ {
		shard, err := ParseShard(fmt.Sprintf("hash:%d/3", part))
		require.NoError(t, err)
		s, err := Filter{Shard: shard}.Select(cases)
		require.NoError(t, err)
		require.NotEmpty(t, s.Tests)
		for _, test := range s.Tests {
			seen[test.Name]++
		}
	}
	require.Len(t, seen, 50, "each is in one part")
	// The 64 bits of FNV-1 for "a" are af63bd4c8601b7be, which is 6 modulo 8.
	require.True(t, Shard{Part: 7, Parts: 8}.has("a"))
	for _, text := range []string{"", "1/2", "hash:0/2", "hash:3/2", "hash:1", "hash:a/b"} {
		_, err := ParseShard(text)
		require.ErrorContains(t, err, "must be hash:M/N", text)
	}
}

func TestATestIsMultiplied(t *testing.T) {
	s, err := Filter{Multiply: 3}.Select([]Case{{Name: "a", Meta: Meta{NonExclusive: true}}})
	require.NoError(t, err)
	var names []string
	for _, test := range s.Tests {
		names = append(names, test.Name)
		require.True(t, test.alone(), "each has a guest of its own")
	}
	require.Equal(t, []string{"a0", "a1", "a2"}, names)
}

func TestPlatformIndependentTestsRunOnQEMU(t *testing.T) {
	cases := []Case{{Name: "a", Meta: Meta{Tags: []string{"platform-independent"}}}}
	for _, c := range []struct {
		platform string
		anywhere bool
		want     int
	}{{"qemu", false, 1}, {"qemu-iso", false, 0}, {"qemu-iso", true, 1}} {
		s, err := Filter{At: Situation{Platform: c.platform}, Anywhere: c.anywhere}.Select(cases)
		require.NoError(t, err)
		require.Len(t, s.Tests, c.want, c)
	}
}
