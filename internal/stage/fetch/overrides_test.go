package fetch

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
)

func TestABuildTakesOverridesWithoutAnotherFetch(t *testing.T) {
	w := newWorld(t, map[string]string{"manifest.yaml": app + "repo-packages: [{repo: base, packages: [lib]}]\n"})
	w.fetched(Options{})
	w.override(testkit.RPM{Name: "lib", Version: "1", Release: "0.dev"})
	w.override(testkit.RPM{Name: "lib", Version: "1", Release: "0.bev"})
	w.override(testkit.RPM{Name: "unasked"})
	w.override(testkit.RPM{Name: "app", Version: "9", Arch: "src"})
	w.override(testkit.RPM{Name: "app", Version: "9", Arch: "aarch64"})

	got, err := w.composed()

	require.NoError(t, err)
	require.Equal(t, []string{"app-1-1.noarch", "lib-1-0.dev.noarch"}, got, "the newest override wins over newer packages of repositories and over repo-packages")

	require.NoError(t, os.RemoveAll(filepath.Join(w.dir.Overrides(), "rpm")))
	got, err = w.composed()
	require.NoError(t, err)
	require.Equal(t, []string{"app-1-1.noarch", "lib-2-1.noarch"}, got)
}

func TestAnOverrideOfTheSameVersionReplacesThePackage(t *testing.T) {
	w := newWorld(t, nil)
	w.fetched(Options{})
	w.override(testkit.RPM{Name: "lib", Version: "2", Provides: []string{"mark"}})
	override, err := os.ReadFile(filepath.Join(w.dir.Overrides(), "rpm/lib-2-1.noarch.rpm"))
	require.NoError(t, err)

	got, err := w.composed()

	require.NoError(t, err)
	require.Equal(t, []string{"app-1-1.noarch", "lib-2-1.noarch"}, got)
	taken, err := filepath.Glob(filepath.Join(w.dir.Cache(), "rpms/override-*-lib-2-1.noarch.rpm"))
	require.NoError(t, err)
	require.Len(t, taken, 1)
	text, err := os.ReadFile(taken[0])
	require.NoError(t, err)
	require.Equal(t, override, text)
}

func TestWhatAnOverrideNeedsIsFetchedOnRequest(t *testing.T) {
	w := newWorld(t, nil)
	w.override(testkit.RPM{Name: "lib", Version: "5", Requires: []string{"tool"}})
	require.Equal(t, []string{"app-1-1.noarch", "lib-2-1.noarch"}, w.fetched(Options{}), "a plain fetch knows nothing of overrides")
	_, err := w.composed()
	require.ErrorContains(t, err, "the packages in overrides/rpm: the packages do not fit together")
	require.ErrorContains(t, err, "run nosa fetch --with-cosa-overrides to get what they need")

	with := []string{"app-1-1.noarch", "lib-5-1.noarch", "tool-1-1.noarch"}
	require.Equal(t, with, w.fetched(Options{WithOverrides: true}))
	got, err := w.composed()
	require.NoError(t, err)
	require.Equal(t, with, got)

	require.NoError(t, os.RemoveAll(filepath.Join(w.dir.Overrides(), "rpm")))
	got, err = w.composed()
	require.NoError(t, err)
	require.Equal(t, []string{"app-1-1.noarch", "lib-2-1.noarch"}, got, "and the build without is there too")
}

func TestAPackageThatIsOnlyAnOverride(t *testing.T) {
	w := newWorld(t, manifest("packages: [brand-new]\n"))
	w.override(testkit.RPM{Name: "brand-new", Requires: []string{"tool"}})
	require.Equal(t, []string{"brand-new-1-1.noarch", "tool-1-1.noarch"}, w.fetched(Options{WithOverrides: true}))
	require.Contains(t, w.log.String(), "without the packages in overrides/rpm this config cannot be built")
	got, err := w.composed()
	require.NoError(t, err)
	require.Equal(t, []string{"brand-new-1-1.noarch", "tool-1-1.noarch"}, got)

	require.NoError(t, os.RemoveAll(filepath.Join(w.dir.Overrides(), "rpm")))
	_, err = w.composed()
	require.ErrorContains(t, err, "run nosa fetch")
}

func TestAnOverrideBeatsTheLockfile(t *testing.T) {
	w := newWorld(t, locks(`"lib": {"evr": "1-1"}, "app": {"evr": "1-1"}`))
	w.override(testkit.RPM{Name: "lib", Version: "7"})
	want := []string{"app-1-1.noarch", "lib-7-1.noarch"}
	require.Equal(t, want, w.fetched(Options{WithOverrides: true, Strict: true}))
	got, err := w.composed()
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestADamagedOverrideIsNamed(t *testing.T) {
	w := newWorld(t, nil)
	w.fetched(Options{})
	path := filepath.Join(w.dir.Overrides(), "rpm/bad.rpm")
	require.NoError(t, os.WriteFile(path, []byte("no package"), 0o644))
	_, err := w.composed()
	require.ErrorContains(t, err, path)
}
