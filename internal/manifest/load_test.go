package manifest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/manifest"
)

// minimal is the least that a treefile must have.
const minimal = `
rojig: {name: mini, summary: Mini, license: MIT}
automatic-version-prefix: "1"
`

// write puts files into a directory of their own, which becomes the working
// directory, so that findings have short paths.
func write(t testing.TB, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, content := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
	}
}

func load(t testing.TB, path string) *manifest.Manifest {
	t.Helper()
	m, err := manifest.Load(path, manifest.Options{Arch: arch.X86_64})
	require.NoError(t, err)
	return m
}

func TestATreefileThatCannotBeReadIsAFinding(t *testing.T) {
	for path, want := range map[string]string{
		filepath.Join(t.TempDir(), "gone.yaml"): "no such file or directory",
		t.TempDir():                             "not a regular file",
	} {
		_, err := manifest.Load(path, manifest.Options{Arch: arch.X86_64})
		require.EqualError(t, err, path+": "+want)
		require.NotEmpty(t, diag.Findings(err))
	}
}

func TestPackagesKnowTheirPlaces(t *testing.T) {
	write(t, map[string]string{
		"m.yaml":     minimal + "include: sub/a.yaml\npackages: [vim zsh]\n",
		"sub/a.yaml": "packages:\n  - vim\n  - awk\n",
	})
	m := load(t, "m.yaml")
	require.Equal(t, []manifest.Package{
		{Name: "awk", Pos: diag.Pos{File: "sub/a.yaml", Line: 3, Column: 5}},
		{Name: "vim", Pos: diag.Pos{File: "m.yaml", Line: 5, Column: 12}}, // of two places the includer's
		{Name: "zsh", Pos: diag.Pos{File: "m.yaml", Line: 5, Column: 12}},
	}, m.Packages)
}

func TestDefaults(t *testing.T) {
	write(t, map[string]string{"m.yaml": minimal})
	m := load(t, "m.yaml")
	require.True(t, m.Recommends && m.Documentation && m.SELinux && m.PreservePasswd && m.MachineIDCompat && m.IgnoreDevices)
	require.False(t, m.TmpIsDir || m.NoInitramfs || m.Container || m.ReadonlyExecutables)
	require.Equal(t, manifest.Edition2014, m.Edition)
	require.Equal(t, manifest.BootNew, m.BootLocation)
	require.Equal(t, manifest.OptVar, m.OptUsrlocal)
	require.Equal(t, manifest.RpmdbTarget, m.Rpmdb)
	require.Equal(t, manifest.CheckPrevious, m.CheckPasswd.Type)
	require.Equal(t, manifest.CheckPrevious, m.CheckGroups.Type)
	require.Equal(t, "inline", m.RepoMetadata)
	require.Equal(t, byte('.'), m.AutomaticVersionSuffix)
	require.Nil(t, m.PostprocessScript)
}

func TestSpellingsOfOneMeaning(t *testing.T) {
	for text, want := range map[string]string{
		"bdb": manifest.RpmdbTarget, "b-d-b": manifest.RpmdbTarget, "ndb": manifest.RpmdbTarget,
		"sqlite": manifest.RpmdbTarget, "target": manifest.RpmdbTarget, "host": manifest.RpmdbHost,
	} {
		write(t, map[string]string{"m.yaml": minimal + "rpmdb: " + text})
		require.Equal(t, want, load(t, "m.yaml").Rpmdb, text)
	}
	write(t, map[string]string{"m.yaml": minimal + "opt-usrlocal: stateoverlay"})
	require.Equal(t, manifest.OptStateOverlay, load(t, "m.yaml").OptUsrlocal)
}

func TestWhatIsImpliedIsInTheFields(t *testing.T) {
	write(t, map[string]string{"m.yaml": minimal + "container: true"})
	m := load(t, "m.yaml")
	require.Equal(t, manifest.BootModules, m.BootLocation)
	require.False(t, m.SELinux || m.PreservePasswd)
	require.True(t, m.TmpIsDir)
	require.Equal(t, manifest.CheckNone, m.CheckPasswd.Type)
	require.Equal(t, manifest.CheckNone, m.CheckGroups.Type)
}

func TestExternalFilesLieBesideTheTreefileThatMentionsThem(t *testing.T) {
	write(t, map[string]string{
		"m.yaml":     minimal + "include: sub/a.yaml\nadd-files: [[f, /etc/f], [f, usr/share/f]]",
		"f":          "outer",
		"sub/a.yaml": "postprocess-script: run.sh\ncheck-passwd: {type: file, filename: passwd}\ncheck-groups: {type: data, entries: {wheel: 10}}\nadd-files: [[f, bin/f]]\nremove-from-packages: [[systemd, /usr/bin/x, 'y.*z$']]",
		"sub/run.sh": "#!/bin/sh",
		"sub/passwd": "root:x:0:0",
		"sub/f":      "inner",
	})
	require.NoError(t, os.Chmod("sub/run.sh", 0o755))
	m := load(t, "m.yaml")

	dir, err := os.Getwd()
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "sub/run.sh"), m.PostprocessScript.Path)
	require.Equal(t, []manifest.CheckEntry{
		{Name: "wheel", ID: 10, Pos: diag.Pos{File: "sub/a.yaml", Line: 3, Column: 38}},
	}, m.CheckGroups.Entries)
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

func TestJSONIsForPeopleToo(t *testing.T) {
	write(t, map[string]string{"m.yaml": minimal + "postprocess: ['a <b> && c']\n"})
	data, err := load(t, "m.yaml").JSON()
	require.NoError(t, err)
	require.Contains(t, string(data), "\n    \"a <b> && c\"\n", "indented, and not escaped for HTML")
}

func TestDigestChangesWithWhatEntersTheCompose(t *testing.T) {
	digest := func(extra, script string) string {
		write(t, map[string]string{"m.yaml": minimal + "check-groups: {type: file, filename: group}\n" + extra, "group": script})
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
