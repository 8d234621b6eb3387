package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// shellPackage is a package with a shell, /usr/bin/args, which notes its
// arguments, and /etc/notes for notes.
func shellPackage(t *testing.T, dir string) string {
	t.Helper()
	testkit.NeedTool(t, "/bin/busybox")
	return testkit.BuildRPM(t, dir, "shell", "Provides: /bin/sh", `%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/etc
cp /bin/busybox %{buildroot}/usr/bin/busybox
for name in sh cat tr touch true; do ln -s busybox %{buildroot}/usr/bin/$name; done
printf '#!/bin/sh\necho "args $#: ${1:+script} $2 $3" >>/etc/notes\n' >%{buildroot}/usr/bin/args
chmod 755 %{buildroot}/usr/bin/args
ln -s usr/bin %{buildroot}/bin
touch %{buildroot}/etc/notes
%files
/usr/bin/*
/bin
/etc/notes
`)
}

// noting is a script that notes its name, its arguments and its input.
func noting(name string) string {
	return fmt.Sprintf("echo \"%s $#: $* <$(cat | tr '\\n' ' ')>\" >>/etc/notes\n", name)
}

// everyScript is a package with files and every kind of script there is at an
// installation.
func everyScript(t *testing.T, dir, name, needs string) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%%install\nmkdir -p %%{buildroot}/usr/share/t/%[1]s.d\ntouch %%{buildroot}/usr/share/t/%[1]s.d/f %%{buildroot}/usr/share/t%[1]s\n", name)
	for _, section := range []string{
		"triggerprein -- a b c shell", "pre", "post", "posttrans", "preun", "postun",
		"triggerin -- a, b > 0.5, c < 1", "triggerun -- a", "triggerpostun -- a",
		"filetriggerin -- /usr/share/t", "filetriggerin -P 50 -- /usr/share/t /usr/share/none",
		"filetriggerun -- /usr/share/t", "transfiletriggerun -- /usr/share/t", "transfiletriggerpostun -- /usr/share/t",
		"transfiletriggerin -P 20 -- /usr/share/t", "transfiletriggerin -P 2000000 -- /usr/share/t/",
		"transfiletriggerin -P 100 -- /usr/share/none",
	} {
		fmt.Fprintf(&b, "%%%s\n%s", section, noting(name+"."+section))
	}
	fmt.Fprintf(&b, "%%files\n/usr/share/t/%[1]s.d\n/usr/share/t%[1]s\n", name)
	return testkit.BuildRPM(t, dir, name, "Requires: "+needs+"\nRequires(pre): shell", b.String())
}

// rpm itself is the judge: it installs the same packages with its own idea of what
// to run with which arguments and input. Only the order among packages differs on
// purpose: %pre of all, then %post of all.
func TestScriptsAndTriggersRunAsRpmRunsThem(t *testing.T) {
	testkit.NeedTool(t, "rpm", "bwrap")
	testkit.NeedRoot(t)
	dir := t.TempDir()
	packages := []string{
		shellPackage(t, dir), everyScript(t, dir, "a", "shell"), everyScript(t, dir, "b", "a"), everyScript(t, dir, "c", "b"),
		testkit.BuildRPM(t, dir, "d", "Requires: c", "%post -p /usr/bin/args\n%posttrans -p /usr/bin/args\nbody\n%triggerin -p /usr/bin/args -- a\n%files\n"),
	}
	judge := filepath.Join(t.TempDir(), "judge")
	require.NoError(t, os.MkdirAll(judge, 0o755))
	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "rpm", Args: append([]string{
		"--root=" + judge, "--dbpath=" + DBPath, "-U", "--nosignature",
	}, packages...)})
	require.NoError(t, err)
	want := strings.SplitAfter(get(t, judge, "etc/notes"), "\n")
	require.Greater(t, len(want), 40, "rpm must have run the scripts")

	tree := unpackedTree(t, packages...)
	_, err = tree.Scriptlets(t.Context(), ScriptOptions{Scratch: t.TempDir()})
	require.NoError(t, err)
	got := strings.SplitAfter(get(t, tree.Root, "etc/notes"), "\n")

	before := func(line string) bool {
		return strings.Contains(line, ".pre ") || strings.Contains(line, ".triggerprein")
	}
	require.Equal(t, choose(want, before), choose(got, before))
	after := func(line string) bool { return !before(line) }
	require.Equal(t, choose(want, after), choose(got, after))
	require.Empty(t, choose(got[len(choose(got, before)):], before), "all %pre come first")
}

func choose(lines []string, take func(string) bool) []string {
	var taken []string
	for _, line := range lines {
		if take(line) {
			taken = append(taken, line)
		}
	}
	return taken
}

// unpackedTree is a new tree of the packages.
func unpackedTree(t *testing.T, packages ...string) *Tree {
	t.Helper()
	tree := &Tree{Root: filepath.Join(t.TempDir(), "root"), Run: tool.Host{}, Epoch: time.Unix(1700000000, 0)}
	require.NoError(t, tree.Unpack(t.Context(), packages, UnpackOptions{}))
	return tree
}

func TestFileTriggersSeeOverlaysAndOnlyWhatIsThere(t *testing.T) {
	testkit.NeedTool(t, "rpm", "bwrap")
	testkit.NeedRoot(t)
	dir := t.TempDir()
	tree := unpackedTree(t, shellPackage(t, dir),
		testkit.BuildRPM(t, dir, "units", "", "%install\nmkdir -p %{buildroot}/usr/lib/units\ntouch %{buildroot}/usr/lib/units/gone %{buildroot}/usr/lib/units/kept\n"+
			"%transfiletriggerin -- /usr/lib/units/ /etc/units/\n"+noting("units")+"%files\n/usr/lib/units\n"),
		testkit.BuildRPM(t, dir, "systemd", "", "%transfiletriggerin -- /usr/lib/units\nexit 1\n%files\n"), // in the ignore list
	)
	require.NoError(t, os.Remove(filepath.Join(tree.Root, "usr/lib/units/gone")))
	put(t, tree.Root, "usr/lib/units/overlaid", "")
	put(t, tree.Root, "etc/units/overlaid", "")
	put(t, tree.Root, "usr/local/lib/units/foreign", "")

	ran, err := tree.Scriptlets(t.Context(), ScriptOptions{})
	require.NoError(t, err)
	require.Equal(t, 1, ran)
	require.Equal(t, "units 1: 0 </usr/lib/units/kept /etc/units/overlaid /usr/lib/units/overlaid >\n", get(t, tree.Root, "etc/notes"))
}

func TestVersionsOfTriggers(t *testing.T) {
	for text, met := range map[string]bool{
		"": true, "> 1": false, ">= 1": true, "= 1": true, "= 1-1": true, "< 1-2": true, "< 2:0": true, "> 0.9~rc1": true, "= 1-2": false,
	} {
		c := condition{name: "p"}
		operator, version, _ := strings.Cut(text, " ")
		for _, sign := range operator {
			c.sense |= map[rune]int{'<': senseLess, '>': senseGreater, '=': senseEqual}[sign]
		}
		c.version = version
		require.Equal(t, met, c.met("1-1"), "%q", text)
	}
}

func TestShellWordsSurviveWhateverAScriptHolds(t *testing.T) {
	require.Equal(t, [][]string{{"script", "it's\n<a&b> \x1b\\", ""}, {"next", "(none)"}},
		shellWords("script 'it'\\''s\n<a&b> \x1b\\' ''\n\nnext (none)\n"))
}
