package fetch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/lock"
)

const (
	lockJSON = "manifest-lock.x86_64.json"
	app      = "packages: [app]\nrecommends: false\n"
)

func locks(entries string) map[string]string {
	return map[string]string{lockJSON: `{"packages": {` + entries + `}}`}
}

func with(files map[string]string, more ...string) map[string]string {
	for i := 0; i < len(more); i += 2 {
		files[more[i]] = more[i+1]
	}
	return files
}

func TestLockfiles(t *testing.T) {
	both := []string{"app-1-1.noarch", "lib-1-1.noarch"}
	check(t, map[string]rule{
		"relaxed: a locked name stays, others are free": {
			files: locks(`"lib": {"evr": "1-1"}`), want: both,
		},
		"evra": {
			files: locks(`"lib": {"evra": "1-1.noarch"}`), want: both,
		},
		"evra of another architecture matches nothing": {
			files: locks(`"lib": {"evra": "1-1.x86_64"}`), err: "the packages do not fit together",
		},
		"strict, all locked": {
			files: locks(`"lib": {"evr": "1-1"}, "app": {"evra": "1-1.noarch"}`), opt: Options{Strict: true}, want: both,
		},
		"strict, one not locked": {
			files: locks(`"app": {"evr": "1-1"}`), opt: Options{Strict: true}, err: "the packages do not fit together",
		},
		"strict, what is asked for not locked": {
			files: locks(`"lib": {"evr": "1-1"}`), opt: Options{Strict: true},
			err: `package "app" is in none of the repositories base; with --strict only locked packages are seen`,
		},
		"strict without a lockfile": {
			opt: Options{Strict: true}, err: "--strict needs a lockfile",
		},
		"a digest that differs": {
			files: locks(`"lib": {"evr": "1-1", "digest": "sha256:` + strings.Repeat("0", 64) + `"}`), err: "the packages do not fit together",
		},
		"overrides replace entries": {
			files: with(locks(`"lib": {"evr": "9-9"}`), "manifest-lock.overrides.yaml", "packages: {lib: {evr: 1-1}}\n"), want: both,
		},
		"overrides of the architecture replace those": {
			files: with(locks(``), "manifest-lock.overrides.yaml", "packages: {lib: {evr: 2-1}}\n",
				"manifest-lock.overrides.x86_64.json", `{"packages": {"lib": {"evr": "1-1"}}}`), want: both,
		},
		"overrides of another architecture are left alone": {
			files: map[string]string{"manifest-lock.overrides.aarch64.yaml": "packages: {lib: {evr: 1-1}}\n"},
			want:  []string{"app-1-1.noarch", "lib-2-1.noarch"},
		},
		"two spellings": {
			files: with(locks(``), "manifest-lock.x86_64.yaml", "packages: {}\n"), err: "remove one",
		},
		"faults of all lockfiles at once": {
			files: with(locks(`"lib": {}`), "manifest-lock.overrides.yaml", "packages: {lib: {evra: 1-1}}\n"),
			err:   `manifest-lock.overrides.yaml:1:24: packages.lib.evra: "1-1" has no dot`,
		},
		"lockfile-repos are not used without a lockfile": {
			files: manifest("packages: [lib]\nrepos: [base]\nlockfile-repos: [extra]\n"), want: []string{"lib-2-1.noarch"},
		},
		"with one they give what is locked": {
			files: with(locks(`"lib": {"evr": "3-1"}`), "manifest.yaml", "packages: [lib, doc]\nrepos: [base]\nlockfile-repos: [extra]\n"),
			want:  []string{"doc-1-1.noarch", "lib-3-1.noarch"},
		},
		"with one and without repos they are the only ones": {
			files: with(locks(`"lib": {"evr": "3-1"}`), "manifest.yaml", "packages: [lib, doc]\nlockfile-repos: [extra]\n"),
			err:   `package "doc" is in none of the repositories extra`,
		},
	})
}

func TestALockThatMatchesNothingWarns(t *testing.T) {
	w := newWorld(t, locks(`"tool": {"evr": "7-1"}`))
	require.Equal(t, []string{"app-1-1.noarch", "lib-2-1.noarch"}, w.fetched(Options{}))
	require.Contains(t, w.log.String(), "warning: no repository has the locked package tool 0:7-1")

	w.config(manifest("packages: [tool]\n"))
	_, err := w.fetch(Options{})
	require.ErrorContains(t, err, "the lockfile wants version 0:7-1, which may be gone; run fetch --update-lockfile")
}

func TestAVariantHasTheSameLockfiles(t *testing.T) {
	w := newWorld(t, locks(`"lib": {"evr": "1-1"}`))
	w.config(map[string]string{"manifest-rt.yaml": head + "packages: [app, tool]\nrecommends: false\n", "image-rt.yaml": "size: 8\n"})
	require.NoError(t, w.dir.SetVariant("rt"))
	require.Equal(t, []string{"app-1-1.noarch", "lib-1-1.noarch", "tool-1-1.noarch"}, w.fetched(Options{}))
}

func TestUpdateLockfileForgetsTheBaseAndKeepsTheOverrides(t *testing.T) {
	w := newWorld(t, with(locks(`"lib": {"evr": "1-1"}, "app": {"evr": "9-9"}`), "manifest.yaml", app+"packages-x86_64: [doc]\n",
		"manifest-lock.overrides.yaml", "packages: {doc: {evr: 1-1}}\n"))

	result, err := w.fetch(Options{UpdateLockfile: true})

	require.NoError(t, err)
	path := filepath.Join(w.dir.Config(), lockJSON)
	require.Equal(t, path, result.Lockfile)
	written, err := lock.Load(path)
	require.NoError(t, err)
	require.Equal(t, "2-1.noarch", written.Packages["lib"].EVRA)
	require.Len(t, written.Packages, 3)
	require.Contains(t, written.Metadata.RpmmdRepos, "base")
	require.False(t, written.Metadata.Generated.IsZero())
	for _, p := range written.Packages {
		require.Empty(t, p.Digest)
	}
	first, err := os.ReadFile(path)
	require.NoError(t, err)

	require.Equal(t, nevras(result.Packages), w.fetched(Options{Strict: true}), "what was written is enough for a strict fetch")
	w.fetched(Options{UpdateLockfile: true})
	second, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(first), string(second))
}

func TestWriteLockfileToIsRelativeToTheWorkDirectory(t *testing.T) {
	w := newWorld(t, locks(`"lib": {"evr": "1-1"}`))
	require.Equal(t, []string{"app-1-1.noarch", "lib-2-1.noarch"}, w.fetched(Options{WriteLockfileTo: "tmp/new.json", DryRun: true}))
	written, err := lock.Load(filepath.Join(w.dir.Path, "tmp/new.json"))
	require.NoError(t, err)
	require.Equal(t, "2-1.noarch", written.Packages["lib"].EVRA)
	base, err := lock.Load(filepath.Join(w.dir.Config(), lockJSON))
	require.NoError(t, err)
	require.Equal(t, "1-1", base.Packages["lib"].EVR, "the base lockfile is left alone")
}

func TestADryRunLeavesNoRecord(t *testing.T) {
	w := newWorld(t, nil)
	require.Len(t, w.fetched(Options{DryRun: true}), 2)
	_, err := w.composed()
	require.EqualError(t, err, "must fetch before building; run nosa fetch")
}

func TestAutolockStaysWithThePackagesOfABuild(t *testing.T) {
	w := newWorld(t, map[string]string{"manifest.yaml": "packages: [app, native]\nrecommends: false\n"})
	put := func(build, a, text string) {
		dir := filepath.Join(w.dir.BuildsDir(), build, a)
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "manifest-lock.generated."+a+".json"), []byte(text), 0o644))
	}
	put("1.1", "aarch64", `{"packages": {"lib": {"evra": "1-1.noarch"}, "native": {"evra": "1-1.aarch64", "digest": "sha256:`+strings.Repeat("0", 64)+`"}}}`)

	require.Equal(t, []string{"app-1-1.noarch", "lib-1-1.noarch", "native-1-1.x86_64"}, w.fetched(Options{AutoLock: "1.1"}))
	_, err := w.composed()
	require.NoError(t, err)

	w.config(map[string]string{"manifest-lock.overrides.yaml": "packages: {lib: {evr: 2-1}}\n"})
	require.Contains(t, w.fetched(Options{AutoLock: "1.1"}), "lib-2-1.noarch", "overrides come after it")

	for name, c := range map[string]struct {
		opt  Options
		want string
	}{
		"strict":        {Options{AutoLock: "1.1", Strict: true}, "--strict and --autolock exclude each other"},
		"no such build": {Options{AutoLock: "1.2"}, "no generated lockfile in " + filepath.Join(w.dir.BuildsDir(), "1.2")},
		"a path":        {Options{AutoLock: "../builds/1.1"}, `"../builds/1.1" is no id of a build`},
	} {
		_, err := w.fetch(c.opt)
		require.ErrorContains(t, err, c.want, name)
	}
	w.config(locks(``))
	_, err = w.fetch(Options{AutoLock: "1.1"})
	require.ErrorContains(t, err, "--autolock is for configs without a lockfile, but there is "+filepath.Join(w.dir.Config(), lockJSON))
}

func TestABuildRefusesWhatTheLockfileNoLongerWants(t *testing.T) {
	w := newWorld(t, nil)
	w.fetched(Options{})
	w.config(locks(`"lib": {"evr": "1-1"}`))
	_, err := w.composed()
	require.EqualError(t, err, filepath.Join(w.dir.Config(), lockJSON)+`:1:15: the lockfile wants lib 1-1, but 0:2-1.noarch was fetched; run nosa fetch`)
	w.fetched(Options{})
	_, err = w.composed()
	require.NoError(t, err)
}
