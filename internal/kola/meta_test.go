package kola

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/machine"
)

const script = "#!/bin/bash\n## kola:\n"

func TestParseHeader(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		want  Meta
		found bool
	}{
		"none":    {"#!/bin/bash\nset -e\n", Meta{}, false},
		"nothing": {script + "set -e\n", Meta{}, true},
		"all": {script + `##   # the keys there are
##   architectures: "! s390x ppc64le"
##   platforms: qemu aws
##   distros: "!fcos"
##   tags: "needs-internet slow"
##   requiredTag: special
##   additionalDisks: ["5G", "1G:mpath,serial=x"]
##   additionalNics: 2
##   minMemory: 4096
##   minDisk: 15
##   exclusive: false
##   conflicts:
##     - ext.config.a
##   timeoutMin: 30
##   allowConfigWarnings: true
##   injectContainer: true
##   noInstanceCreds: true
##   description: what it is
##   appendFirstbootKernelArgs: a=b
#
set -e
`, Meta{
			Architectures: Only{Not: true, Names: []string{"s390x", "ppc64le"}},
			Platforms:     Only{Names: []string{"qemu", "aws"}},
			Distros:       Only{Not: true, Names: []string{"fcos"}},
			Tags:          []string{"needs-internet", "slow"}, RequiredTag: "special",
			Disks: []machine.Disk{{GiB: 5}, {GiB: 1, Multipath: true, Serial: "x"}}, NICs: 2,
			MinMemoryMiB: 4096, MinDiskGiB: 15, NonExclusive: true, Conflicts: []string{"ext.config.a"},
			TimeoutMin: 30, AllowConfigWarnings: true, InjectContainer: true, NoInstanceCreds: true,
			Description: "what it is", FirstbootKernelArgs: "a=b",
		}, true},
		"kernel arguments":               {script + "##   appendKernelArgs: quiet loglevel=3\n\n", Meta{KernelArgs: "quiet loglevel=3"}, true},
		"bare ## ends it":                {script + "##   minDisk: 15\n##\n##   minMemory: 1\n", Meta{MinDiskGiB: 15}, true},
		"cut off by the end":             {script + "##   minDisk: 15", Meta{}, false},
		"beyond the first 8 KiB":         {strings.Repeat("#\n", 4096) + "## kola:\n##   minDisk: 15\n\n", Meta{}, false},
		"JSON":                           {"#!/bin/sh\n# kola: {\"tags\": \"a b\", \"exclusive\": false}\n", Meta{Tags: []string{"a", "b"}, NonExclusive: true}, true},
		"exclusive: true is the default": {script + "##   exclusive: true\n\n", Meta{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var list diag.List
			got, found := ParseHeader("test.sh", []byte(c.text), &list)
			require.NoError(t, list.Err())
			require.Equal(t, c.found, found)
			require.Equal(t, c.want, got)
		})
	}
}

func TestHeadersThatAreWrong(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown key":    {script + "##   timeoutMins: 3\n\n", `test.sh:3:6: unknown key "timeoutMins"; did you mean "timeoutMin"?`},
		"strange key":    {script + "##   xyzzyplugh: 3\n\n", `test.sh:3:6: unknown key "xyzzyplugh"`},
		"twice the key":  {script + "##   minDisk: 3\n##   minDisk: 4\n\n", `test.sh:4:6: key "minDisk" is given twice`},
		"not a number":   {script + "##   minDisk: many\n\n", `test.sh:3:15: minDisk: must be a whole number from 0 to 16384`},
		"negative":       {script + "##   additionalNics: -1\n\n", `test.sh:3:22: additionalNics: must be a whole number from 0 to 16`},
		"not a boolean":  {script + "##   exclusive: maybe\n\n", `test.sh:3:17: exclusive: must be true or false`},
		"not a list":     {script + "##   additionalDisks: 5G\n\n", `test.sh:3:23: additionalDisks: must be a list of strings`},
		"bad disk":       {script + "##   additionalDisks: [5]\n\n", `test.sh:3:23: additionalDisks: disk "5": size must be in G, for example 5G`},
		"two headers":    {script + "\n" + "## kola:\n##   minDisk: 1\n\n", `test.sh:4: second kola header; the first is in line 2`},
		"JSON and YAML":  {script + "##   minDisk: 1\n\n# kola: {}\n", `test.sh:5: second kola header; the first is in line 2`},
		"no YAML":        {script + "##   a: [\n\n", `test.sh:3: kola header: did not find expected node content`},
		"a list":         {script + "##   - a\n\n", `test.sh:3:6: kola metadata must be a mapping`},
		"kola extra":     {"## kola: {}\n## other: 1\n\n", `test.sh:1:4: kola header must hold the one key kola`},
		"shared kargs":   {script + "##   exclusive: false\n##   appendKernelArgs: a\n\n", `test.sh:3:6: a test with appendKernelArgs cannot share a guest; remove exclusive: false`},
		"lone conflicts": {script + "##   conflicts: [a]\n\n", `test.sh:3:6: conflicts makes sense only with exclusive: false`},
	} {
		t.Run(name, func(t *testing.T) {
			var list diag.List
			ParseHeader("test.sh", []byte(c.text), &list)
			require.EqualError(t, list.Err(), c.want)
		})
	}
}

func TestOnly(t *testing.T) {
	require.True(t, Only{}.Allows("x"))
	require.True(t, parseOnly("a b").Allows("b"))
	require.False(t, parseOnly("a b").Allows("c"))
	require.False(t, parseOnly("! a b").Allows("b"))
	require.True(t, parseOnly("!a b").Allows("c"))
	require.Equal(t, "!a b", parseOnly("! a  b").String())
}

func FuzzParseHeader(f *testing.F) {
	f.Add([]byte(script + "##   tags: a\n\n"))
	f.Add([]byte("# kola: {\"a\": &x [*x]}\n"))
	f.Add([]byte("## kola: *a\n\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		var list diag.List
		meta, found := ParseHeader("f", content, &list)
		if !found {
			require.Zero(t, meta)
			require.Empty(t, list.Findings)
		}
		for _, finding := range list.Findings {
			require.Positive(t, finding.Pos.Line)
		}
	})
}
