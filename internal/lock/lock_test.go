package lock_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/lock"
)

const full = `{
  "packages": {
    "bash": {
      "evra": "5.2.15-9.oe2403.x86_64",
      "digest": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    },
    "podman": {
      "evr": "5:5.2.5-1",
      "metadata": {
        "reason": "<why> & because"
      }
    }
  },
  "metadata": {
    "generated": "2025-01-14T00:00:00Z",
    "rpmmd_repos": {
      "OS": {
        "generated": "2025-01-10T11:12:13Z"
      }
    }
  }
}
`

func TestWhatWasReadIsWrittenAgain(t *testing.T) {
	f, err := lock.Parse("a.json", []byte(full))
	require.NoError(t, err)
	require.Equal(t, "5.2.15-9.oe2403.x86_64", f.Packages["bash"].EVRA)
	require.Equal(t, diag.Pos{File: "a.json", Line: 7, Column: 5}, f.Packages["podman"].Pos)

	path := filepath.Join(t.TempDir(), "sub", "b.json")
	require.NoError(t, f.Save(path))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, full, string(data))
	back, err := lock.Load(path)
	require.NoError(t, err)
	require.Equal(t, f.Metadata, back.Metadata)
}

func TestYAMLAndJSONAreTheSameFormat(t *testing.T) {
	f, err := lock.Parse("a.yaml", []byte("packages:\n  a: {evr: 1-2}\n  b: {evra: 1:2-3.noarch, metadata: {type: pin}}\n"))
	require.NoError(t, err)
	require.Equal(t, lock.Package{EVR: "1-2", Pos: diag.Pos{File: "a.yaml", Line: 2, Column: 3}}, f.Packages["a"])
	require.Equal(t, map[string]any{"type": "pin"}, f.Packages["b"].Metadata)
}

func TestParseSaysWhereAndWhatIsWrong(t *testing.T) {
	cases := map[string]struct{ yaml, want string }{
		"no packages":   {"metadata: {}", `l.yaml:1:1: packages is required`},
		"empty":         {"", `l.yaml: must be a mapping, not nothing`},
		"unknown key":   {"packages: {}\npackage: {}", `l.yaml:2:1: unknown key "package"; did you mean "packages"?`},
		"unknown inner": {"packages: {a: {evra: 1-1.x, diges: x}}", `l.yaml:1:29: unknown key "packages.a.diges"; did you mean "digest"?`},
		"evra no dot":   {"packages: {a: {evra: 1-1}}", `l.yaml:1:22: packages.a.evra: "1-1" has no dot; it must be [EPOCH:]VERSION-RELEASE.ARCH`},
		"evra no dash":  {"packages: {a: {evra: 1.x86_64}}", `l.yaml:1:22: packages.a.evra: "1.x86_64" is not of the form [EPOCH:]VERSION-RELEASE.ARCH`},
		"evr bad epoch": {"packages: {a: {evr: 'x:1-1'}}", `l.yaml:1:21: packages.a.evr: "x:1-1" is not of the form [EPOCH:]VERSION-RELEASE`},
		"evr a number":  {"packages: {a: {evr: 1.5}}", `l.yaml:1:21: packages.a.evr: must be a string, not the number 1.5; put it in quotes`},
		"neither":       {"packages: {a: {}}", `l.yaml:1:15: packages.a: must have one of evra and evr`},
		"both":          {"packages: {a: {evr: 1-1, evra: 1-1.x}}", `l.yaml:1:15: packages.a: must have one of evra and evr`},
		"digest":        {"packages: {a: {evr: 1-1, digest: abc}}", `l.yaml:1:34: packages.a.digest: "abc" is not a digest of the form sha256:HEX`},
		"time":          {"packages: {}\nmetadata: {generated: yesterday}", `l.yaml:2:23: metadata.generated: "yesterday" is not a time like 2025-01-14T00:00:00Z`},
		"two at once": {"packages: {a: x}\nmetadata: {rpmmd_repos: []}", `l.yaml:1:15: packages.a: must be a mapping, not the string "x"
l.yaml:2:25: metadata.rpmmd_repos: must be a mapping, not a list`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := lock.Parse("l.yaml", []byte(c.yaml))
			require.EqualError(t, err, c.want)
		})
	}
}

func TestLaterLockfilesReplace(t *testing.T) {
	base, err := lock.Parse("a.yaml", []byte("packages: {a: {evr: 1-1, digest: 'sha1:"+strings.Repeat("0", 40)+"'}, b: {evr: 1-1}}\nmetadata: {generated: 2025-01-01T00:00:00Z}"))
	require.NoError(t, err)
	over, err := lock.Parse("b.yaml", []byte("packages: {a: {evra: 2-1.noarch}, c: {evr: 3-1}}\nmetadata: {rpmmd_repos: {r: {generated: 2025-01-02T00:00:00Z}}}"))
	require.NoError(t, err)
	var merged lock.File
	merged.Merge(base)
	merged.Merge(over)
	require.Len(t, merged.Packages, 3)
	require.Equal(t, "2-1.noarch", merged.Packages["a"].EVRA)
	require.Empty(t, merged.Packages["a"].EVR+merged.Packages["a"].Digest, "an entry is replaced as a whole")
	require.Equal(t, 2025, merged.Metadata.Generated.Year())
	require.Contains(t, merged.Metadata.RpmmdRepos, "r")
	require.Len(t, base.Packages, 2, "what was merged is left alone")
}

func TestANewLockfileIsOfAUTCDay(t *testing.T) {
	f := lock.New(time.Date(2025, 1, 13, 23, 59, 0, 0, time.FixedZone("", -3600)))
	f.Add("bash", lock.EVRA{Version: "5", Release: "1", Arch: "noarch"}, "sha256:"+strings.Repeat("a", 64))
	data, err := f.WithoutDigests().JSON()
	require.NoError(t, err)
	require.Equal(t, `{
  "packages": {
    "bash": {
      "evra": "5-1.noarch"
    }
  },
  "metadata": {
    "generated": "2025-01-14T00:00:00Z"
  }
}
`, string(data))
	require.NotEmpty(t, f.Packages["bash"].Digest)
}

func TestEVRA(t *testing.T) {
	for text, want := range map[string]lock.EVRA{
		"1:1.46.2-1.fc40.x86_64": {Epoch: 1, Version: "1.46.2", Release: "1.fc40", Arch: "x86_64"},
		"0.0.27-2.noarch":        {Version: "0.0.27", Release: "2", Arch: "noarch"},
		"1~rc1^git-1.oe.src":     {Version: "1~rc1^git", Release: "1.oe", Arch: "src"},
	} {
		got, err := lock.ParseEVRA(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, text, got.String())
	}
	zero, err := lock.ParseEVRA("0:1-2.noarch")
	require.NoError(t, err)
	require.Equal(t, "1-2.noarch", zero.String())
	require.Equal(t, "a-b-1-2.noarch", zero.NEVRA("a-b"))
	for _, bad := range []string{"", ".", "1-1.", "1-.x", "-1.x", "1-1-1.x", "1:2:3-4.x", "1 -1.x", "a:1-1.x", "1-1.x-y"} {
		_, err := lock.ParseEVRA(bad)
		require.Error(t, err, bad)
	}
	exact, err := lock.Package{EVR: "2:1-1"}.Exact()
	require.NoError(t, err)
	require.Equal(t, lock.EVRA{Epoch: 2, Version: "1", Release: "1"}, exact)
}

func TestFind(t *testing.T) {
	base := filepath.Join(t.TempDir(), "manifest-lock.x86_64")
	path, found, err := lock.Find(base, ".json")
	require.NoError(t, err)
	require.False(t, found)
	require.Equal(t, base+".json", path)

	require.NoError(t, os.WriteFile(base+".yaml", nil, 0o644))
	path, found, err = lock.Find(base, ".json")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, base+".yaml", path)

	require.NoError(t, os.WriteFile(base+".json", nil, 0o644))
	_, _, err = lock.Find(base, ".json")
	require.EqualError(t, err, "both "+base+".json and "+base+".yaml exist; remove one")
}

func TestPublishedLockfilesLoad(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "data", "fedora-coreos-config")
	f, err := lock.Load(filepath.Join(dir, "manifest-lock.x86_64.json"))
	if err != nil && os.IsNotExist(err) {
		t.Skipf("the published config repository is not here: %v", err)
	}
	require.NoError(t, err)
	require.Len(t, f.Packages, 439)
	over, err := lock.Load(filepath.Join(dir, "manifest-lock.overrides.yaml"))
	require.NoError(t, err)
	f.Merge(over)
	e, err := f.Packages["podman"].Exact()
	require.NoError(t, err)
	require.Equal(t, lock.EVRA{Epoch: 5, Version: "5.2.5", Release: "1.fc40"}, e)
}

func FuzzParse(f *testing.F) {
	f.Add(full, false)
	f.Add("packages: {a: {evr: 1-1}, b: &b {evra: 1-1.x}, c: *b}", true)
	f.Fuzz(func(t *testing.T, text string, yaml bool) {
		name := "a.json"
		if yaml {
			name = "a.yaml"
		}
		l, err := lock.Parse(name, []byte(text))
		if err != nil {
			require.NotEmpty(t, diag.Findings(err))
			return
		}
		data, err := l.JSON()
		require.NoError(t, err)
		again, err := lock.Parse("b.json", data)
		require.NoError(t, err)
		require.Len(t, again.Packages, len(l.Packages))
	})
}
