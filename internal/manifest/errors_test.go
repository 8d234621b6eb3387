package manifest_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each case is a treefile behind the two lines that every one needs, so that
// its own first line is line 4.
func TestLoadSaysWhereAndWhatIsWrong(t *testing.T) {
	cases := map[string]struct{ yaml, want string }{
		"unknown key": {"pakages: [a]",
			`m.yaml:4:1: unknown key "pakages"; did you mean "packages"?`},
		"unknown key near nothing": {"frobnicate: 1",
			`m.yaml:4:1: unknown key "frobnicate"`},
		"underscores are not a spelling": {"install_langs: [de]",
			`m.yaml:4:1: unknown key "install_langs"; did you mean "install-langs"?`},
		"packages is no list": {"packages: vim",
			`m.yaml:4:11: packages: must be a list, not the string "vim"`},
		"package is no string": {"packages: [vim, 12]",
			`m.yaml:4:17: packages[1]: must be a string, not the number 12; put it in quotes`},
		"packages of another architecture": {"packages-s390x: [vim, [emacs]]",
			`m.yaml:4:23: packages-s390x[1]: must be a string, not a list`},
		"string for a boolean": {`recommends: "no"`,
			`m.yaml:4:13: recommends: must be a boolean, not the string "no"; write true or false, without quotes`},
		"both spellings": {"default_target: a\ndefault-target: b",
			`m.yaml:5:1: "default_target" and "default-target" are the same key; give only one`},
		"key twice": {"ref: a\nref: b",
			`m.yaml:5:1: key "ref" is given twice; the first is on line 4`},
		"reserved variable": {"variables: {releasever: 1}",
			`m.yaml:4:13: variables.releasever: the name is reserved; it is set by itself`},
		"variable with a reference": {`variables: {a: "${b}"}`,
			`m.yaml:4:16: variables.a: a variable's value must not contain $, { or }`},
		"variable that is a number": {`variables: {a: 1.5}`,
			`m.yaml:4:16: variables.a: must be a string or an integer or a boolean, not the number 1.5; put it in quotes`},
		"foreign basearch": {"basearch: aarch64",
			`m.yaml:4:11: basearch: is aarch64, but this builds for x86_64; cross composes are not supported; leave the key out`},
		"fractional releasever": {"releasever: 24.03",
			`m.yaml:4:13: releasever: must be a string or an integer, not the number 24.03; put it in quotes`},
		"missing include": {"include: gone.yaml",
			`m.yaml:4:10: include: file "gone.yaml": no such file or directory`},
		"include of itself": {"include: m.yaml",
			`m.yaml:4:10: include: file "m.yaml": the file was already included as m.yaml; a file may be reached only once`},
		"include of a number": {"include: 3",
			`m.yaml:4:10: include: must be a string or a list, not the number 3; put it in quotes`},
		"undefined variable": {`conditional-include: [{if: x == true, include: a.yaml}]`,
			`m.yaml:4:28: conditional-include[0].if: condition "x == true": variable "x" is not defined here`},
		"types differ": {`releasever: "24.03-LTS"` + "\nconditional-include: [{if: releasever < 41, include: a.yaml}]",
			`m.yaml:5:28: conditional-include[0].if: condition "releasever < 41": releasever is the string "24.03-LTS" and cannot be compared with the number 41`},
		"string ordered": {`conditional-include: [{if: basearch < "b", include: a.yaml}]`,
			`m.yaml:4:28: conditional-include[0].if: condition "basearch < \"b\"": < orders numbers only, and basearch is the string "x86_64"`},
		"operator without blanks": {"releasever: 40\nconditional-include: [{if: releasever<41, include: a.yaml}]",
			`m.yaml:5:28: conditional-include[0].if: condition "releasever<41": "<4" is not an operator; use ==, !=, <, <=, > or >= with blanks around it`},
		"operator unknown": {"releasever: 40\nconditional-include: [{if: releasever => 41, include: a.yaml}]",
			`m.yaml:5:28: conditional-include[0].if: condition "releasever => 41": "=>" is not an operator; use ==, !=, <, <=, > or >= with blanks around it`},
		"not a condition": {"conditional-include: [{if: fine, include: a.yaml}]",
			`m.yaml:4:28: conditional-include[0].if: "fine" is not a condition of the form NAME OP VALUE, where VALUE is true, false, a number or a string in double quotes`},
		"condition is a boolean": {"conditional-include: [{if: true, include: a.yaml}]",
			`m.yaml:4:28: conditional-include[0].if: must be a string or a list, not the boolean true; put it in quotes`},
		"condition without include": {"conditional-include: [{if: a == 1}]",
			`m.yaml:4:23: conditional-include[0]: must have both if and include`},
		"quote left open": {`packages: ["'podman >= 4"]`,
			`m.yaml:4:12: packages[0]: a single quote is not closed in "'podman >= 4"`},
		"boot-location": {"boot-location: both",
			`m.yaml:4:16: boot-location: "both" is not one of modules, new, kernel-install`},
		"repo-metadata": {"repo-metadata: inlined",
			`m.yaml:4:16: repo-metadata: "inlined" is not one of inline, detached, disabled; did you mean "inline"?`},
		"rpmdb": {"rpmdb: foo",
			`m.yaml:4:8: rpmdb: "foo" is not one of bdb, b-d-b, ndb, sqlite, target, host`},
		"suffix": {`automatic-version-suffix: "-r"`,
			`m.yaml:4:27: automatic-version-suffix: must be exactly one ASCII character, not "-r"`},
		"label version": {`selinux-label-version: 2`,
			`m.yaml:4:24: selinux-label-version: must be 0 or 1, not 2`},
		"add-files destination": {"add-files: [[m.yaml, usr/local/x]]",
			`m.yaml:4:22: add-files[0][1]: destination "usr/local/x" must lie under usr/ (but not usr/local/), etc/, bin/, sbin/, lib/ or lib64/`},
		"add-files climbs out": {"add-files: [[m.yaml, usr/../var/x]]",
			`m.yaml:4:22: add-files[0][1]: destination "usr/../var/x" must lie under usr/ (but not usr/local/), etc/, bin/, sbin/, lib/ or lib64/`},
		"add-files source": {"add-files: [[gone, usr/x]]",
			`m.yaml:4:14: add-files[0][0]: file "gone": no such file or directory`},
		"add-files alone": {"add-files: [[m.yaml]]",
			`m.yaml:4:13: add-files[0]: must be a source and a destination, not 1 strings`},
		"repovars": {"repovars: {basearch: x}",
			`m.yaml:4:12: repovars.basearch: the name is reserved; set the key basearch instead`},
		"remove-files absolute": {"remove-files: [/usr/share/man]",
			`m.yaml:4:16: remove-files[0]: "/usr/share/man" must be relative; write "usr/share/man"`},
		"remove-files climbs out": {"remove-files: [usr/../..]",
			`m.yaml:4:16: remove-files[0]: "usr/../.." must not contain ..`},
		"units": {"units: [a.service]\nmachineid-compat: false",
			`m.yaml:4:8: units: units cannot be enabled when machineid-compat is false; use a preset file instead`},
		"script missing": {"postprocess-script: gone.sh",
			`m.yaml:4:21: postprocess-script: file "gone.sh": no such file or directory`},
		"script not executable": {"postprocess-script: m.yaml",
			`m.yaml:4:21: postprocess-script: "m.yaml" is not executable; run chmod +x on it`},
		"bad regular expression": {`remove-from-packages: [[a, "/usr/(b"]]`,
			"m.yaml:4:28: remove-from-packages[0][1]: error parsing regexp: missing closing ): `/usr/(b`"},
		"package without expression": {"remove-from-packages: [[a]]",
			`m.yaml:4:24: remove-from-packages[0]: must be a package and at least one regular expression`},
		"check type": {"check-passwd: {type: files}",
			`m.yaml:4:22: check-passwd.type: "files" is not one of none, previous, file, data; did you mean "file"?`},
		"check file missing": {"check-groups: {type: file, filename: gone}",
			`m.yaml:4:38: check-groups.filename: file "gone": no such file or directory`},
		"check without its file": {"check-passwd: {type: file}",
			`m.yaml:4:15: check-passwd: type file needs the key filename`},
		"check id": {"check-groups: {type: data, entries: {wheel: -1}}",
			`m.yaml:4:45: check-groups.entries.wheel: -1 is not a user or group id`},
		"repo-packages": {"repo-packages: [{repo: a}]",
			`m.yaml:4:17: repo-packages[0]: must have both repo and packages`},
		"ref": {"ref: os/${stream}/x",
			`m.yaml:4:6: ref: "os/${stream}/x" is not a valid name of a branch: variable ${stream} is not defined`},
		"alias bomb": {"metadata:\n" + aliasBomb(),
			`m.yaml:6:20: too many values, or aliases that repeat each other`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			write(t, map[string]string{"m.yaml": complete + c.yaml})
			got := loadError(t, "m.yaml")
			require.Equal(t, c.want, got)
		})
	}
}

// aliasBomb is a few lines that expand to 10^9 values.
func aliasBomb() string {
	var b strings.Builder
	b.WriteString("  a0: &a0 [1]\n")
	for i := range 9 {
		alias := fmt.Sprintf("*a%d", i)
		fmt.Fprintf(&b, "  a%d: &a%d [%s]\n", i+1, i+1, strings.Join([]string{alias, alias, alias, alias, alias, alias, alias, alias, alias, alias}, ","))
	}
	return b.String()
}

func TestLoadNamesWhatEveryTreefileNeeds(t *testing.T) {
	write(t, map[string]string{"m.yaml": "packages: [a]\n"})
	require.Equal(t, `m.yaml: rojig is required, with name, summary and license; its name is that of the system
m.yaml: automatic-version-prefix is required (for example "24.03.<date:%Y%m%d>")`, loadError(t, "m.yaml"))
}

func TestLoadDoesNotCallARejectedKeyMissing(t *testing.T) {
	write(t, map[string]string{"m.yaml": "rojig: {name: a, summary: b}\nautomatic-version-prefix: 40\n"})
	require.Equal(t, `m.yaml:1:8: rojig: license is required
m.yaml:2:27: automatic-version-prefix: must be a string, not the number 40; put it in quotes`, loadError(t, "m.yaml"))
}

func TestLoadReportsAllFilesAtOnce(t *testing.T) {
	write(t, map[string]string{
		"m.yaml":     complete + "include: [sub/a.yaml, sub/b.yaml]\nunknown-top: 1\n",
		"sub/a.yaml": "units: 1\n",
		"sub/b.yaml": "packages: [a\n",
	})
	require.Equal(t, `m.yaml:5:1: unknown key "unknown-top"
sub/a.yaml:1:8: units: must be a list, not the number 1
sub/b.yaml:1: not valid YAML: did not find expected ',' or ']'`, loadError(t, "m.yaml"))
}

func TestLoadFindsNothingMissingWhereAFileCannotBeRead(t *testing.T) {
	write(t, map[string]string{"m.yaml": "include: base.yaml\n"})
	require.Equal(t, `m.yaml:1:10: include: file "base.yaml": no such file or directory`, loadError(t, "m.yaml"))
}

func TestLoadRefusesEmptyAndMissingTreefiles(t *testing.T) {
	write(t, map[string]string{"m.yaml": "# nothing\n"})
	require.Equal(t, "m.yaml: the treefile is empty; it must be a mapping", loadError(t, "m.yaml"))
	require.Equal(t, "gone.yaml: no such file or directory", loadError(t, "gone.yaml"))
	require.Equal(t, ".: not a regular file", loadError(t, "."))
}

func TestIncludeMayReachAFileOnlyOnce(t *testing.T) {
	t.Run("diamond", func(t *testing.T) {
		write(t, map[string]string{
			"m.yaml": complete + "include: [a.yaml, b.yaml]",
			"a.yaml": "include: c.yaml", "b.yaml": "include: c.yaml", "c.yaml": "packages: [x]",
		})
		require.Equal(t, `b.yaml:1:10: include: file "c.yaml": the file was already included as c.yaml; a file may be reached only once`, loadError(t, "m.yaml"))
	})
	t.Run("hard link", func(t *testing.T) {
		write(t, map[string]string{"m.yaml": complete + "include: [a.yaml, b.yaml]", "a.yaml": "packages: [x]"})
		require.NoError(t, os.Link("a.yaml", "b.yaml"))
		require.Equal(t, `m.yaml:4:19: include[1]: file "b.yaml": the file was already included as a.yaml; a file may be reached only once`, loadError(t, "m.yaml"))
	})
}

func TestIncludesNestFiftyFilesDeep(t *testing.T) {
	chain := func(n int) map[string]string {
		files := map[string]string{}
		for i := range n {
			files[fmt.Sprintf("%d.yaml", i)] = fmt.Sprintf("include: %d.yaml\n", i+1)
		}
		files["0.yaml"] = complete + files["0.yaml"]
		files[fmt.Sprintf("%d.yaml", n-1)] = "packages: [deepest]\n"
		return files
	}
	write(t, chain(50))
	require.Equal(t, []string{"deepest"}, names(load(t, "0.yaml").Packages))

	write(t, chain(51))
	require.Equal(t, "49.yaml:1:10: include: 50.yaml is nested 50 files deep, which is the limit", loadError(t, "0.yaml"))
}

func TestJSONMayHoldUnknownKeys(t *testing.T) {
	write(t, map[string]string{"m.json": `{
	"comment-a": "x",
	"pakages": ["y"],
	"rojig": {"name": "mini", "summary": "s", "license": "MIT"},
	"automatic_version_prefix": "1", "packages-armv9": []
}`})
	m := load(t, "m.json")
	require.Len(t, m.Warnings, 2)
	require.Equal(t, `m.json:3:2: warning: unknown key "pakages" is ignored; did you mean "packages"?`, m.Warnings[0].String())
	require.Equal(t, `m.json:5:35: warning: packages-armv9: no architecture is called "armv9"`, m.Warnings[1].String())
	require.Equal(t, "1", m.AutomaticVersionPrefix)
}
