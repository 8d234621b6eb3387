package convert

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pault.ag/go/debian/dependency"
	"pault.ag/go/debian/version"

	"github.com/nestos/nosa-actions/tools/rpmpool/deb"
)

func TestVersionsKeepTheirOrderInRPM(t *testing.T) {
	for debian, want := range map[string]string{
		"2.36-9+deb12u14":   "2.36-9+deb12u14",
		"1:1.2.13.dfsg-1":   "1:1.2.13.dfsg-1",
		"3.6.1":             "3.6.1-0",
		"1:4.13+dfsg1-1+b2": "1:4.13+dfsg1-1+b2",
		"1.0-rc1-2":         "1.0_rc1-2",
		"252~rc1-1~deb12u2": "252~rc1-1~deb12u2",
	} {
		v, err := version.Parse(debian)
		require.NoError(t, err)
		require.Equal(t, want, NewEVR(v).String(), debian)
	}
}

func TestArchitecturesAreNamedAsRPMDoes(t *testing.T) {
	for debian, want := range map[string]string{"amd64": "x86_64", "all": "noarch", "arm64": "aarch64", "riscv64": "riscv64"} {
		require.Equal(t, want, Arch(debian))
	}
}

func TestRelations(t *testing.T) {
	pool := NewIndex([]*deb.Package{
		{Control: controlOf(t, "mawk", "1.3-4", "Provides", "awk (= 1.3)")},
		{Control: controlOf(t, "libc6", "2.36-9", "", "")},
		{Control: controlOf(t, "usr-is-merged", "37", "", "")},
	}, nil)
	for name, test := range map[string]struct {
		field, text string
		want        Relations
	}{
		"signs": {"Depends", "a (<< 1), b (<= 1-2), c (= 1:3-4), d (>= 5), e (>> 6~)", Relations{
			Requires: []string{"a < 1-0", "b <= 1-2", "c = 1:3-4", "d >= 5-0", "e > 6~-0"},
		}},
		"first alternative of the pool": {"Depends", "usrmerge | usr-is-merged, gawk | awk", Relations{
			Requires: []string{"usr-is-merged", "awk"},
		}},
		"an alternative that is too old is none": {"Depends", "libc6 (>= 3) | mawk", Relations{
			Requires: []string{"mawk"},
		}},
		"architecture qualifiers":    {"Pre-Depends", "perl:any (>= 5)", Relations{Requires: []string{"perl >= 5-0"}}},
		"no repetition":              {"Depends", "x, x", Relations{Requires: []string{"x"}}},
		"recommended and in pool":    {"Recommends", "libc6, nothing-of-us", Relations{Recommends: []string{"libc6"}}},
		"provides":                   {"Provides", "v (= 2), w", Relations{Provides: []string{"v = 2-0", "w"}}},
		"conflict":                   {"Conflicts", "other (<< 2)", Relations{Conflicts: []string{"other < 2-0"}}},
		"conflict with its own name": {"Conflicts", "self (<< 2)", Relations{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := pool.Relations(controlOf(t, "self", "1:1-1", test.field, test.text))

			require.NoError(t, err)
			require.Equal(t, append([]string{"filesystem"}, test.want.Requires...), got.Requires)
			require.Equal(t, append([]string{"self = 1:1-1"}, test.want.Provides...), got.Provides)
			require.Equal(t, test.want.Recommends, got.Recommends)
			require.Equal(t, test.want.Conflicts, got.Conflicts)
		})
	}
}

func controlOf(t *testing.T, name, number, field, text string) deb.Control {
	t.Helper()
	v, err := version.Parse(number)
	require.NoError(t, err)
	c := deb.Control{Package: name, Version: v}
	if field == "" {
		return c
	}
	rel, err := dependency.Parse(text)
	require.NoError(t, err)
	*map[string]*dependency.Dependency{
		"Depends": &c.Depends, "Pre-Depends": &c.PreDepends, "Recommends": &c.Recommends,
		"Provides": &c.Provides, "Conflicts": &c.Conflicts,
	}[field] = *rel
	return c
}

func TestLayoutMergesUsr(t *testing.T) {
	link := func(name, target string) deb.File { return deb.File{Name: name, Kind: deb.Symlink, Target: target} }
	dir := func(name string) deb.File { return deb.File{Name: name, Kind: deb.Directory} }
	plain := func(name string) deb.File { return deb.File{Name: name, Body: []byte(name)} }
	for name, test := range map[string]struct{ in, want []deb.File }{
		"directories move":            {[]deb.File{dir("/lib"), plain("/lib/x/y")}, []deb.File{dir("/usr/lib"), {Name: "/usr/lib/x/y", Body: []byte("/lib/x/y")}}},
		"others stay":                 {[]deb.File{plain("/library/x"), plain("/etc/bin/x")}, []deb.File{plain("/library/x"), plain("/etc/bin/x")}},
		"a neighbour":                 {[]deb.File{link("/bin/sh", "dash")}, []deb.File{link("/usr/bin/sh", "dash")}},
		"out of a moved place":        {[]deb.File{link("/lib/x/a", "../../etc/a")}, []deb.File{link("/usr/lib/x/a", "../../../etc/a")}},
		"into a moved place":          {[]deb.File{link("/usr/lib/x/a.so", "../../../lib/x/a.so.1")}, []deb.File{link("/usr/lib/x/a.so", "a.so.1")}},
		"absolute":                    {[]deb.File{link("/lib64/ld.so", "/lib/x/ld.so")}, []deb.File{link("/usr/lib64/ld.so", "/usr/lib/x/ld.so")}},
		"untouched":                   {[]deb.File{link("/etc/os-release", "../usr/lib/os-release")}, []deb.File{link("/etc/os-release", "../usr/lib/os-release")}},
		"to itself":                   {[]deb.File{link("/usr/bin/which", "/bin/which"), plain("/bin/which")}, []deb.File{{Name: "/usr/bin/which", Body: []byte("/bin/which")}}},
		"the file wins over its link": {[]deb.File{link("/usr/sbin/a", "b"), plain("/sbin/a")}, []deb.File{{Name: "/usr/sbin/a", Body: []byte("/sbin/a")}}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, test.want, layout(test.in)) })
	}
}

func TestLicenceNamesComeFromTheCopyrightFile(t *testing.T) {
	at := func(text string) []deb.File {
		return []deb.File{{Name: "/usr/share/doc/p/copyright", Body: []byte(text)}}
	}
	require.Equal(t, "GPL-2+ AND MIT", licence(at("Format: x\n\nFiles: *\nLicense: GPL-2+\n\nFiles: a\nLicense: MIT\n\nLicense: GPL-2+\n text\n"), "p"))
	require.Equal(t, "see /usr/share/doc", licence(at("It is free.\nLicense: no\n"), "p"))
	require.Equal(t, "see /usr/share/doc", licence(nil, "p"))
}

func TestDescriptionLosesItsIndent(t *testing.T) {
	summary, text := description("says hello\n It greets.\n .\n  - twice")
	require.Equal(t, "says hello", summary)
	require.Equal(t, "It greets.\n\n - twice", text)
	_, text = description("short")
	require.Equal(t, "short", text)
}
