package rpmrepo

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseReadsWhatDnfReads(t *testing.T) {
	file, err := parse("a.repo", `# comment
[os]
name=Operating system
baseurl=http://mirror/os/
	http://other/os/
enabled = 1

; another comment
[updates]
metalink=http://mirror/updates
enabled=no
skip_if_unavailable=True
`)
	require.NoError(t, err)
	require.Len(t, file.Repos, 2)
	require.Equal(t, []string{"http://mirror/os/", "http://other/os/"}, file.Repos[0].URLs)
	require.True(t, file.Repos[0].Enabled, "enabled is the default")
	require.False(t, file.Repos[0].Optional)
	require.Equal(t, "a.repo:9:1", file.Repos[1].Pos.String())
	require.False(t, file.Repos[1].Enabled)
	require.True(t, file.Repos[1].Optional)
}

func TestParseNamesEveryFaultWithItsLine(t *testing.T) {
	_, err := parse("a.repo", "x=1\n[os]\nbaseurl=http://a\nenabled=maybe\nnonsense\n[empty]\nname=n\n")
	require.EqualError(t, err, `a.repo:1:1: "x=1" stands before any section; begin with a line [id]
a.repo:4:1: enabled=maybe is not a truth value; use 0 or 1
a.repo:5:1: "nonsense" is neither a section nor key=value
a.repo:6:1: repository "empty" says no place to load from; add baseurl, metalink or mirrorlist`)
}

func TestGatherLetsTheLaterDirectoryWin(t *testing.T) {
	config, yumrepos := t.TempDir(), t.TempDir()
	write := func(dir, name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	write(config, "os.repo", "[os]\nbaseurl=http://config\n")
	write(yumrepos, "os.repo", "[os]\nbaseurl=http://yumrepos\n")
	write(config, "extra.repo", "[extra]\nbaseurl=http://config\nenabled=0\n")

	set, err := Gather(config, yumrepos)

	require.NoError(t, err)
	require.Equal(t, []string{"http://yumrepos"}, set.Find("os").URLs)
	require.Equal(t, []string{"os"}, set.Enabled())
	require.Nil(t, set.Find("other"))
}

func TestGatherRefusesAConfigWithoutRepositories(t *testing.T) {
	dir := t.TempDir()
	_, err := Gather(dir)
	require.EqualError(t, err, "no .repo file in "+dir+"; without one there is nowhere to get packages from")
}

// What is read without complaint has ids and places to load from.
func FuzzParse(f *testing.F) {
	f.Add("[a]\nbaseurl=http://x\n")
	f.Add("a=b\n [c]\n\td\n=\n[]\n")
	f.Add("[main]\ngpgcheck=1\n[b c]\nmetalink=http://x\npriority=-1\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := parse("f.repo", text)
		if err != nil {
			return
		}
		for _, r := range file.Repos {
			if r.ID == "" || r.Pos.Line == 0 || len(r.URLs) == 0 && r.ID != mainSection {
				t.Fatalf("%q gave %+v", text, r)
			}
		}
	})
}

// A record of another machine never names a file outside of the cache.
func FuzzParseRecord(f *testing.F) {
	f.Add(`{"packages": [{"name": "a", "file": "a.rpm"}], "override-needs": [{"file": "../b"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		record, err := parseRecord([]byte(text))
		if err != nil {
			return
		}
		for _, p := range slices.Concat(record.Packages, record.Extra) {
			if path := filepath.Join("/cache", p.File); filepath.Dir(path) != "/cache" {
				t.Fatalf("%q leads out", p.File)
			}
		}
	})
}
