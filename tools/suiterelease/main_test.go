package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/release/publish/githubtest"
)

// built is what suitebinaries leaves, in small.
func built(t *testing.T, tag string) options {
	t.Helper()
	dir := t.TempDir()
	list, sums := "# x\ntag "+tag+"\nurl https://host/"+tag+"\nsource 00\ncompiler go1\n", ""
	for _, name := range []string{"fetch-linux-amd64.gz", "nosa-linux-arm64.gz"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600))
		sums += fmt.Sprintf("%x  %s\n", sha256.Sum256([]byte(name)), name)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(sums), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "binaries"), []byte(list+sums), 0o600))
	changelog := filepath.Join(dir, "CHANGELOG.md")
	require.NoError(t, os.WriteFile(changelog, []byte("# Changelog\n\n## Unreleased\n\n- New.\n\n## v1.0.0\n\n- Old.\n"), 0o600))
	return options{dir: dir, changelog: changelog, token: githubtest.Token, repository: "nestos/demo"}
}

func TestAReleaseIsACommitWithItsList(t *testing.T) {
	s := githubtest.New(t, githubtest.Options{})
	o := built(t, "v1.2.3")
	o.api, o.commit = s.URL, s.AddBranch("main", map[string]string{"README": "x"})

	_, err := o.release(t.Context(), progress.New(t.Output()))
	require.NoError(t, err)

	sha, commit := s.Tag("v1.2.3")
	list, err := os.ReadFile(filepath.Join(o.dir, "binaries"))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"README": "x", "actions/binaries": string(list)}, commit.Files)
	major, _ := s.Tag("v1")
	require.Equal(t, sha, major)
	releases := s.Releases()
	require.Len(t, releases, 1)
	require.False(t, releases[0].Draft)
	require.Len(t, releases[0].Assets, 4)
	require.Contains(t, releases[0].Body, "- New.")
	require.NotContains(t, releases[0].Body, "- Old.")

	// Again: everything is there.
	_, err = o.release(t.Context(), progress.New(t.Output()))
	require.NoError(t, err)
	require.Len(t, s.Releases(), 1)
}

// Broken off at any call, the next run ends well, and until then nobody who uses
// the major version sees any of it.
func TestAReleaseThatIsBrokenOffGoesOn(t *testing.T) {
	for n := 1; ; n++ {
		s := githubtest.New(t, githubtest.Options{Tags: []string{}})
		o := built(t, "v1.2.3")
		o.api, o.commit = s.URL, s.AddBranch("main", nil)
		s.Fail(func(c githubtest.Call) *githubtest.Fault {
			if c.N >= n {
				return &githubtest.Fault{Status: 401, Message: "Bad credentials"}
			}
			return nil
		})
		_, err := o.release(t.Context(), progress.New(t.Output()))
		if err == nil {
			require.Greater(t, n, 10)
			return
		}
		major, _ := s.Tag("v1")
		require.Empty(t, major, "call %d", n)
		s.Fail(nil)
		_, err = o.release(t.Context(), progress.New(t.Output()))
		require.NoError(t, err, "call %d", n)
		require.Len(t, s.Releases(), 1)
	}
}

func TestAPrereleaseLeavesTheMajorTag(t *testing.T) {
	s := githubtest.New(t, githubtest.Options{Tags: []string{}})
	o := built(t, "v2.0.0-rc.1")
	o.api, o.commit = s.URL, s.AddBranch("main", nil)
	_, err := o.release(t.Context(), progress.New(t.Output()))
	require.NoError(t, err)
	major, _ := s.Tag("v2")
	require.Empty(t, major)
	require.True(t, s.Releases()[0].Prerelease)
}

func TestChangedProgramsAreNotReleased(t *testing.T) {
	s := githubtest.New(t, githubtest.Options{})
	o := built(t, "v1.2.3")
	o.api, o.commit = s.URL, s.AddBranch("main", nil)
	require.NoError(t, os.WriteFile(filepath.Join(o.dir, "fetch-linux-amd64.gz"), []byte("other"), 0o600))
	_, err := o.release(t.Context(), progress.New(t.Output()))
	require.EqualError(t, err, "fetch-linux-amd64.gz does not have the checksum in binaries")
	require.Empty(t, s.Calls())
}
