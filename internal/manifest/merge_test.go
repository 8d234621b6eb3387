package manifest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/manifest"
)

func TestIncludedListsComeFirstAndTheLastIncludeBeforeTheFirst(t *testing.T) {
	write(t, map[string]string{
		"top.yaml": complete + "include: [a.yaml, b.yaml]\nunits: [top]\nrepos: [top]",
		"a.yaml":   "units: [a]\nrepos: [a]",
		"b.yaml":   "include: c.yaml\nunits: [b]\nrepos: [b]",
		"c.yaml":   "units: [c]\nrepos: [a, c]",
	})
	m := load(t, "top.yaml")
	require.Equal(t, []string{"c", "b", "a", "top"}, values(m.Units))
	require.Equal(t, []string{"a", "c", "b", "a", "top"}, values(m.Repos), "without de-duplication")
}

func TestTheIncluderWinsThenTheFirstInclude(t *testing.T) {
	write(t, map[string]string{
		"top.yaml": complete + "include: [a.yaml, b.yaml]\nref: top\nadd-commit-metadata: {k: top}",
		"a.yaml":   "ref: a\nselinux: false\ncontainer-cmd: [a]\nadd-commit-metadata: {k: a, l: a}",
		"b.yaml":   "ref: b\nselinux: true\ncontainer-cmd: [b]\ndefault-target: b.target\nadd-commit-metadata: {l: b, m: 3}",
	})
	m := load(t, "top.yaml")
	require.Equal(t, "top", m.Ref)
	require.False(t, m.SELinux)
	require.Equal(t, []string{"a"}, m.ContainerCmd, "a list, but one value")
	require.Equal(t, "b.target", m.DefaultTarget)
	require.Equal(t, map[string]any{"k": "top", "l": "a", "m": int64(3)}, m.AddCommitMetadata)
}

func TestPackagesAreASortedSetThatKnowsItsPlaces(t *testing.T) {
	write(t, map[string]string{
		"m.yaml": complete + `include: sub/a.yaml
packages: [vim  zsh, "'podman >= 4.1' bash"]
packages-x86_64: [grub2]
packages-aarch64: [shim]
bootstrap_packages: [filesystem]
`,
		"sub/a.yaml": "packages:\n  - vim\n  - Awk\n",
	})
	m := load(t, "m.yaml")
	require.Equal(t, []string{"Awk", "bash", "filesystem", "grub2", "podman >= 4.1", "vim", "zsh"}, names(m.Packages))
	require.Equal(t, diag.Pos{File: "sub/a.yaml", Line: 3, Column: 5}, m.Packages[0].Pos)
	require.Equal(t, diag.Pos{File: "m.yaml", Line: 5, Column: 12}, m.Packages[5].Pos, "of two places the includer's")
}

func TestRepoPackagesOfTheIncluderOverride(t *testing.T) {
	write(t, map[string]string{
		"m.yaml": complete + "include: [a.yaml]\nrepo-packages: [{repo: mine, packages: [kernel vim]}]",
		"a.yaml": "repo-packages: [{repo: x, packages: [kernel]}, {repo: y, packages: [vim, zsh]}]",
	})
	m := load(t, "m.yaml")
	require.Len(t, m.RepoPackages, 2)
	require.Equal(t, "y", m.RepoPackages[0].Repo)
	require.Equal(t, []string{"zsh"}, names(m.RepoPackages[0].Packages))
	require.Equal(t, "mine", m.RepoPackages[1].Repo)
	require.Equal(t, []string{"kernel", "vim"}, names(m.RepoPackages[1].Packages))
}

func TestConditionsSeeWhatWasDefinedAboveAndBefore(t *testing.T) {
	write(t, map[string]string{
		"m.yaml": complete + `releasever: 41
variables: {prod: false, stream: stable}
ref: os/${basearch}/${stream}/${late}
include: first.yaml
conditional-include:
  - {if: releasever >= 41, include: yes1.yaml}
  - {if: releasever < 41, include: no.yaml}
  - {if: [prod == false, 'basearch != "s390x"'], include: [yes2.yaml]}
  - {if: [prod == false, stream == "next"], include: no.yaml}
  - {if: prod==false, include: {packages: [inline]}}
`,
		"first.yaml": "variables: {late: x, stream: overridden}\npackages: [first]",
		"yes1.yaml":  "packages: [yes1]\nconditional-include: [{if: late == \"x\", include: {packages: [sibling]}}]",
		"yes2.yaml":  "packages: [yes2]",
		"no.yaml":    "packages: [no]",
	})
	m := load(t, "m.yaml")
	require.Equal(t, []string{"first", "inline", "sibling", "yes1", "yes2"}, names(m.Packages))
	require.Equal(t, "os/x86_64/stable/x", m.Ref, "the outermost definition stays; a deeper one is substituted too")
	require.Equal(t, "41", m.Releasever)
}

func TestAConditionDoesNotSeeAVariableOfItsIncludes(t *testing.T) {
	write(t, map[string]string{
		"m.yaml": complete + "include: a.yaml\nconditional-include: [{if: late == 1, include: a.yaml}]",
		"a.yaml": "variables: {late: 1}",
	})
	require.Equal(t, `m.yaml:5:28: conditional-include[0].if: condition "late == 1": variable "late" is not defined here`, loadError(t, "m.yaml"))
}

func TestArchIncludeTakesOursAndChecksAll(t *testing.T) {
	write(t, map[string]string{
		"m.yaml": complete + "arch-include: {x86_64: a.yaml, aarch64: [b.yaml], s390x: 1}",
		"a.yaml": "packages: [a]",
	})
	require.Equal(t, "m.yaml:4:58: arch-include.s390x: must be a string or a list, not the number 1; put it in quotes", loadError(t, "m.yaml"))
	require.NoError(t, os.WriteFile("m.yaml", []byte(complete+"arch-include: {x86_64: a.yaml, aarch64: [b.yaml]}"), 0o644))
	require.Equal(t, []string{"a"}, names(load(t, "m.yaml").Packages))
}

func TestSubstitutionReachesOnlyItsFields(t *testing.T) {
	write(t, map[string]string{"m.yaml": `
variables: {v: "7", on: true, n: 12}
rojig: {name: "a-${v}", summary: "${on} ${n}", license: "${v}", description: "${unknown}"}
automatic-version-prefix: "${v}.${n}"
mutate-os-release: "${v}"
platform-module: "p:${v}"
metadata: {top: "${v}", deep: {x: "${v}"}}
packages: ["${v}"]
postprocess: ["echo ${v}"]
`})
	m := load(t, "m.yaml")
	require.Equal(t, manifest.Rojig{Name: "a-7", Summary: "true 12", License: "${v}", Description: "${unknown}"}, m.Rojig)
	require.Equal(t, "a-7", m.Name())
	require.Equal(t, "7.12", m.AutomaticVersionPrefix)
	require.Equal(t, "7", m.MutateOSRelease)
	require.Equal(t, "p:7", m.PlatformModule)
	require.Equal(t, map[string]any{"top": "7", "deep": map[string]any{"x": "${v}"}}, m.Metadata)
	require.Equal(t, []string{"${v}"}, names(m.Packages))
	require.Equal(t, "echo ${v}", m.Postprocess[0].Body)
}

func TestDefaults(t *testing.T) {
	write(t, map[string]string{"m.yaml": complete})
	m := load(t, "m.yaml")
	require.True(t, m.Recommends && m.Documentation && m.SELinux && m.PreservePasswd && m.MachineIDCompat && m.IgnoreDevices)
	require.False(t, m.TmpIsDir || m.NoInitramfs || m.Container || m.ReadonlyExecutables)
	require.Equal(t, manifest.BootNew, m.BootLocation)
	require.Equal(t, manifest.OptVar, m.OptUsrlocal)
	require.Equal(t, manifest.RpmdbTarget, m.Rpmdb)
	require.Equal(t, manifest.CheckPrevious, m.CheckPasswd.Type)
	require.Equal(t, byte('.'), m.AutomaticVersionSuffix)

	write(t, map[string]string{"m.yaml": complete + `edition: "2024"`})
	m = load(t, "m.yaml")
	require.Equal(t, manifest.BootModules, m.BootLocation)
	require.True(t, m.TmpIsDir)
}

func TestContainerImpliesItsSettings(t *testing.T) {
	write(t, map[string]string{"m.yaml": complete + "container: true\nselinux: true\nboot-location: new"})
	m := load(t, "m.yaml")
	require.Equal(t, manifest.BootModules, m.BootLocation)
	require.False(t, m.SELinux || m.PreservePasswd)
	require.True(t, m.TmpIsDir)
	require.Equal(t, manifest.CheckNone, m.CheckPasswd.Type)
	require.Equal(t, manifest.CheckNone, m.CheckGroups.Type)
}

func TestExternalFilesLieBesideTheTreefileThatMentionsThem(t *testing.T) {
	write(t, map[string]string{
		"m.yaml":      complete + "include: sub/a.yaml\nadd-files: [[f, /etc/f], [f, usr/share/f]]",
		"f":           "outer",
		"sub/a.yaml":  "postprocess-script: run.sh\ncheck-passwd: {type: file, filename: passwd}\ncheck-groups: {type: data, entries: {wheel: 10}}\nadd-files: [[f, bin/f]]\nremove-from-packages: [[systemd, /usr/bin/x, 'y.*z$']]",
		"sub/run.sh":  "#!/bin/sh",
		"sub/passwd":  "root:x:0:0",
		"sub/f":       "inner",
		"unused.yaml": "",
	})
	require.NoError(t, os.Chmod("sub/run.sh", 0o755))
	m := load(t, "m.yaml")

	dir, err := os.Getwd()
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "sub/run.sh"), m.PostprocessScript.Path)
	require.Equal(t, []manifest.CheckEntry{{Name: "wheel", ID: 10}}, m.CheckGroups.Entries)
	passwd, err := m.CheckPasswd.File.Read()
	require.NoError(t, err)
	require.Equal(t, "root:x:0:0", string(passwd))
	var got []string
	for _, f := range m.AddFiles {
		content, err := f.Source.Read()
		require.NoError(t, err)
		got = append(got, f.Dest+"="+string(content))
	}
	require.Equal(t, []string{"bin/f=inner", "usr/etc/f=outer", "usr/share/f=outer"}, got)
	require.Len(t, m.RemoveFromPackages[0].Patterns, 2)
	require.True(t, m.RemoveFromPackages[0].Patterns[1].MatchString("/usr/yyz"))
}

func TestJSONIsTheFlattenedTreefile(t *testing.T) {
	write(t, map[string]string{"m.yaml": complete + `variables: {s: x}
repovars: {a: b}
ref: os/${s}
packages: [b, a]
add-commit-metadata: {z: <&>, a: [1, 2.5, null]}
conditional-include: [{if: s == "x", include: {selinux: false}}]
`})
	data, err := load(t, "m.yaml").JSON()
	require.NoError(t, err)
	require.JSONEq(t, `{
		"rojig": {"name": "mini", "summary": "Mini", "license": "MIT"}, "automatic-version-prefix": "1",
		"basearch": "x86_64", "ref": "os/x", "packages": ["a", "b"], "selinux": false,
		"add-commit-metadata": {"z": "<&>", "a": [1, 2.5, null]}}`, string(data))
	require.Contains(t, string(data), `"<&>"`, "readable, not escaped for HTML")
	require.True(t, json.Valid(data))
}

func TestDigestChangesWithWhatEntersTheCompose(t *testing.T) {
	digest := func(extra, script string) string {
		write(t, map[string]string{"m.yaml": complete + "check-groups: {type: file, filename: group}\n" + extra, "group": script})
		d, err := load(t, "m.yaml").Digest()
		require.NoError(t, err)
		require.Len(t, d, 64)
		return d
	}
	base := digest("", "a:x:1:")
	require.Equal(t, base, digest("", "a:x:1:"))
	require.Equal(t, base, digest("metadata: {owner: me}", "a:x:1:"), "metadata is for tools only")
	require.NotEqual(t, base, digest("", "a:x:2:"))
	require.NotEqual(t, base, digest("packages: [vim]", "a:x:1:"))
}

func TestDeprecatedSettingsAreWarnedOf(t *testing.T) {
	write(t, map[string]string{"m.yaml": complete + "boot-location: new\ninitramfs-args: [--x]\npackages-x86-64: []"})
	var got []string
	for _, w := range load(t, "m.yaml").Warnings {
		got = append(got, w.String())
	}
	require.Equal(t, []string{
		`m.yaml:6:1: warning: packages-x86-64: no architecture is called "x86-64"; did you mean "x86_64"?`,
		`m.yaml:4:16: warning: boot-location: new is deprecated; use modules`,
		`m.yaml:5:17: warning: initramfs-args: deprecated; put a file in /usr/lib/dracut/dracut.conf.d instead`,
	}, got)
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(complete+"packages: [a b]\nremove-from-packages: [[a, b]]"), true)
	f.Add([]byte(complete+"conditional-include: [{if: basearch == \"x\", include: {units: [a]}}]"), true)
	f.Add([]byte(`{"rojig": {"name": "a", "summary": "b", "license": "c"}, "automatic-version-prefix": "<date:%Y>"}`), false)
	f.Add([]byte("a: &a [*a]\nrepo-packages: [{repo: a, packages: [x]}]\ncheck-passwd: {type: data, entries: {a: [1, 2]}}"), true)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte, yaml bool) {
		path := filepath.Join(dir, map[bool]string{true: "m.yaml", false: "m.json"}[yaml])
		require.NoError(t, os.WriteFile(path, data, 0o644))
		m, err := manifest.Load(path, manifest.Options{Arch: arch.X86_64})
		if err != nil {
			require.NotEmpty(t, diag.Findings(err))
			return
		}
		_, err = m.JSON()
		require.NoError(t, err)
		_, err = m.Digest()
		require.NoError(t, err)
	})
}
