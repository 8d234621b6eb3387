package configrepo

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/rpmrepo"
)

const minimal = `ref: os/x86_64/test
rojig: {name: os, summary: s, license: l}
automatic-version-prefix: "1"
releasever: "12"
packages: [bash]
lockfile-repos: [locked]
`

func config(t *testing.T, files map[string]string) Location {
	dir := t.TempDir()
	for name, text := range map[string]string{"manifest.yaml": minimal, "image.yaml": "size: 8\n", "os.repo": "[os]\nbaseurl=http://os\n[locked]\nbaseurl=http://locked\nenabled=0\n"} {
		if _, ok := files[name]; !ok {
			files[name] = text
		}
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return Location{Dir: dir, YumRepos: filepath.Join(dir, "yumrepos"), Arch: arch.X86_64}
}

func load(t *testing.T, files map[string]string) *Config {
	c, err := Load(t.Context(), config(t, files))
	require.NoError(t, err)
	return c
}

func TestFindingsOfAllFilesComeTogether(t *testing.T) {
	at := config(t, map[string]string{
		"manifest.yaml": minimal + "pakages: [x]\n",
		"image.yaml":    "size: 10G\n",
		"os.repo":       "[os]\nname=no place\n",
	})
	_, err := Load(t.Context(), at)
	require.ErrorContains(t, err, `manifest.yaml:7:1: unknown key "pakages"`)
	require.ErrorContains(t, err, "image.yaml:1:7: size")
	require.ErrorContains(t, err, `os.repo:1:1: repository "os" says no place to load from`)
}

func TestWhatToolsOfTodayNoLongerTakeIsNamed(t *testing.T) {
	at := config(t, map[string]string{"image.ks": ""})
	_, err := Load(t.Context(), at)
	require.ErrorContains(t, err, "kickstart support is gone; write image.yaml")
}

func TestReposOfTheManifestOrAllEnabledOnes(t *testing.T) {
	c := load(t, map[string]string{})
	ids, err := c.EnabledRepos(false)
	require.NoError(t, err)
	require.Equal(t, []string{"os"}, ids)
	ids, err = c.EnabledRepos(true)
	require.NoError(t, err)
	require.Equal(t, []string{"locked"}, ids, "lockfile-repos without repos disable all others")

	c = load(t, map[string]string{"manifest.yaml": minimal + "repos: [os, nothere]\n"})
	_, err = c.EnabledRepos(false)
	require.ErrorContains(t, err, `manifest.yaml:7:13: repository "nothere" is in none of the .repo files`)
}

func TestLaterLockfilesReplaceEntries(t *testing.T) {
	c := load(t, map[string]string{
		"manifest-lock.x86_64.json":           `{"packages": {"bash": {"evra": "5.1-1.x86_64"}, "other": {"evra": "1-1.noarch"}}}`,
		"manifest-lock.overrides.yaml":        "packages:\n  bash:\n    evr: 5.2-1\n",
		"manifest-lock.overrides.x86_64.yaml": "packages:\n  bash:\n    evr: 1:5.3-1\n",
	})
	locks, err := c.LoadLocks(LockOptions{})
	require.NoError(t, err)
	req, err := c.Request(locks, true)
	require.NoError(t, err)
	require.Equal(t, map[string]rpmrepo.Lock{"bash": {Version: "1:5.3-1"}, "other": {Version: "0:1-1.noarch"}}, req.Locks)
	require.Equal(t, []string{"locked"}, req.LockfileRepos)

	locks, err = c.LoadLocks(LockOptions{WithoutBase: true})
	require.NoError(t, err)
	require.NotContains(t, locks.Packages, "other", "the base lockfile is left out when it is written anew")

	_, err = load(t, map[string]string{}).Request(nil, true)
	require.ErrorContains(t, err, "--strict needs a lockfile")
}

func TestTwoSpellingsOfOneLockfileAreRefused(t *testing.T) {
	at := config(t, map[string]string{"manifest-lock.x86_64.json": `{"packages": {}}`, "manifest-lock.x86_64.yaml": "packages: {}\n"})
	_, err := Load(t.Context(), at)
	require.ErrorContains(t, err, "manifest-lock.x86_64")
}

func TestPackagesDigestFollowsPackagesOnly(t *testing.T) {
	digest := func(manifest string) string {
		sum, err := load(t, map[string]string{"manifest.yaml": manifest}).PackagesDigest()
		require.NoError(t, err)
		return sum
	}
	base := digest(minimal)
	require.Equal(t, base, digest(minimal+"units: [sshd.service]\n"))
	require.NotEqual(t, base, digest(minimal+"exclude-packages: [nano]\n"))
	require.NotEqual(t, base, digest(minimal+"recommends: false\n"))
}

func TestOverlaysAreDirectoriesInOrder(t *testing.T) {
	c := load(t, map[string]string{"overlay.d/20b/x": "", "overlay.d/10a/x": "", "overlay.d/README.md": ""})
	dirs, err := c.Overlays()
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(c.Dir, "overlay.d/10a"), filepath.Join(c.Dir, "overlay.d/20b")}, dirs)
}
