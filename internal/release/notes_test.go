package release

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/workdir"
)

func TestNotesOfARelease(t *testing.T) {
	dir := world{images: []string{"qemu", "metal"}}.make(t, t.TempDir(), arch.X86_64)
	world{images: []string{"openstack"}}.make(t, dir, arch.AArch64)
	previous := t.TempDir()
	for _, a := range []string{"x86_64", "aarch64"} {
		require.NoError(t, workdir.WriteCommitMeta(previous, map[string]any{"rpmostree.rpmdb.pkglist": [][5]string{
			{"bash", "0", "5.2", "1.oe", a}, {"kernel", "1", "6.5", "2.oe", a},
		}}))
		require.NoError(t, os.Rename(filepath.Join(previous, "commitmeta.json"), filepath.Join(previous, CommitMetaName(a))))
	}
	o := options(t, dir)
	o.limits = limits{asset: 1 << 22, part: 1 << 21}
	o.Previous, o.PreviousTag, o.Attested = previous, "v24.03.20250101.0", true

	testkit.Golden(t, filepath.Join("notes", "two.md"), []byte(collect(t, o).Notes))
}

// Whatever packages and configs are called, it stays text in the notes.
func TestHostileTextStaysText(t *testing.T) {
	evil := "a|b**<script>alert(1)</script>[x](javascript:y)@nestos/owners\n# head `code` ![i](http://e/x.png) &lt; #1"
	w := world{
		images:   []string{"qemu"},
		packages: [][5]string{{evil, "0", evil, evil, evil}},
		change: func(m *workdir.Meta) {
			m.Summary, m.Ref, m.ConfigGitrev, m.Name = evil, evil, evil, "nestos"
		},
	}
	dir := w.make(t, t.TempDir(), arch.X86_64)
	previous := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(previous, CommitMetaName("x86_64")), []byte(`{"rpmostree.rpmdb.pkglist": [["old", "0", "1", "1", "noarch"]]}`), 0o644))
	o := options(t, dir)
	o.Previous, o.PreviousTag = previous, evil

	p := collect(t, o)

	rows := 0
	for line := range strings.Lines(p.Notes) {
		if strings.Contains(line, "script") || strings.Contains(line, "head") {
			rows++
			for _, bad := range []string{"<script", "**", "](", "@nestos", "`", "\n# ", "#1 ", "![", "javascript:"} {
				require.NotContains(t, strings.ReplaceAll(line, "<code>", ""), bad)
			}
		}
		if strings.HasPrefix(line, "| a&#124;b") {
			require.Equal(t, 5, strings.Count(line, "|"), line)
		}
	}
	require.Greater(t, rows, 3)
	require.NotRegexp(t, regexp.MustCompile(`(?m)^# head`), p.Notes)

	// Nor does it lead programs astray.
	assets := download(t, p)
	list, err := os.ReadFile(filepath.Join(assets, "packages.x86_64.txt"))
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(list), "\n"))
}

func TestATemplateOfTheConfig(t *testing.T) {
	dir := world{images: []string{"qemu"}}.make(t, t.TempDir(), arch.X86_64)
	o := options(t, dir)
	o.Template = filepath.Join(t.TempDir(), "notes.md")
	require.NoError(t, os.WriteFile(o.Template, []byte(
		`{{if eq .Stream "stable"}}Stable {{end}}{{.Name}} {{.Version}} of {{.Date}}: {{range .Arches}}{{.Arch}}{{range .Images}} {{.Artifact}}{{end}}{{end}}`), 0o644))

	p := collect(t, o)

	require.Equal(t, "Stable nestos 24.03.20250114.0 of 2025-01-14: x86_64 ostree qemu", p.Notes)
}

func TestTagsAndBuilds(t *testing.T) {
	for tag, fits := range map[string]bool{
		"1.0": true, "v1.0": true, "nestos-1.0": true, "release/1.0": true, "stable/v1.0": true, "1.0-rc1": true, "v1.0-beta.2": true,
		"1.0-1": true, "1.0-2": false, "1.01": false, "v1.1": false, "1x0": false, "v1.0.1": false, "11.0": false, "1": false,
	} {
		err := checkTag(tag, nil, "1.0-1", "1.0")
		require.Equal(t, fits, err == nil, tag)
	}
	require.NoError(t, checkTag("any", []string{"*"}, "1.0", "1.0"))
	require.Error(t, checkTag("os-1.0", []string{"VERSION"}, "1.0", "1.0"))
	require.ErrorContains(t, checkTag("1.0", []string{"[VERSION"}, "1.0", "1.0"), "is no pattern")
	require.NoError(t, checkTag("a[b]*", nil, "a[b]*", "1"), "a version is no pattern")
	require.Error(t, checkTag("ab", nil, "a[b]*", "1"))
}

func TestPrereleases(t *testing.T) {
	for tag, want := range map[string]bool{
		"1.0": false, "v1.0-rc1": true, "nestos/1.0-beta.1": true, "24.03.dev.1": true, "1.0-alpha": true, "24.03-LTS.20250114.0": false, "parchment-1.0": false,
	} {
		got, err := IsPrerelease(tag, nil)
		require.NoError(t, err)
		require.Equal(t, want, got, tag)
	}
	for _, want := range []bool{true, false} {
		got, err := IsPrerelease("1.0-rc1", []string{map[bool]string{true: "true", false: "false"}[want]})
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := IsPrerelease("1.0", []string{"[x"})
	require.ErrorContains(t, err, "is no pattern")
}

func TestNamesAreWhatGitHubKeeps(t *testing.T) {
	n := names{}
	long := strings.Repeat("x", 300) + ".qcow2"
	for _, c := range [][2]string{
		{"os-1.0.img", "os-1.0.img"}, {"os-1.0+deb~rc 1.img", "os-1.0.deb.rc.1.img"}, {"..hidden..", "hidden"}, {"系统.img", "img"},
		{"///", "file"},
	} {
		require.Equal(t, c[1], n.of(c[0]))
	}
	a, b, c := n.of("os-1.0-deb.rc+1.img"), n.of("os-1.0-deb.rc~1.img"), n.of("OS-1.0.IMG")
	require.NotEqual(t, a, b)
	require.NotEqual(t, "OS-1.0.IMG", c)
	short := n.of(long)
	require.LessOrEqual(t, len(short), maxName)
	require.NotEqual(t, short, n.of(long[:250]+long[251:]))
}
