package prune_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/rpmrepo"
	"github.com/nestos/nosa-actions/internal/stage/prune"
)

func TestPackagesThatNothingNeedsGoWhenTheyAreOld(t *testing.T) {
	d := builds(t, "1", "2")
	cache := rpmrepo.Cache(d.Cache())
	freed, err := prune.Packages(t.Context(), d, false)
	require.NoError(t, err, "before the first fetch")
	require.Empty(t, freed.Files)

	require.NoError(t, os.MkdirAll(cache.Packages(), 0o755))
	long := time.Now().Add(-31 * 24 * time.Hour)
	for _, name := range []string{"built-2-1.noarch.rpm", "earlier-1-1.noarch.rpm", "fetched-1-1.noarch.rpm", "gone-1-1.noarch.rpm", "new-1-1.noarch.rpm"} {
		path := filepath.Join(cache.Packages(), name)
		require.NoError(t, os.WriteFile(path, []byte("rpm"), 0o644))
		if name != "new-1-1.noarch.rpm" {
			require.NoError(t, os.Chtimes(path, long, long))
		}
	}
	require.NoError(t, cache.Save(&rpmrepo.Fetched{Solution: rpmrepo.Solution{Packages: []rpmrepo.Package{{File: "fetched-1-1.noarch.rpm"}}}}))
	for id, text := range map[string]string{
		"1": `{"packages": {"earlier": {"evra": "1-1.noarch"}}}`,
		"2": `{"packages": {"built": {"evra": "3:2-1.noarch"}}}`,
	} {
		file := filepath.Join(d.BuildsDir(), id, d.Arch.RPM, "manifest-lock.generated."+d.Arch.RPM+".json")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	want := prune.Freed{Files: []string{"earlier-1-1.noarch.rpm", "gone-1-1.noarch.rpm"}, Bytes: 6}

	freed, err = prune.Packages(t.Context(), d, true)
	require.NoError(t, err)
	require.Equal(t, want, freed)
	freed, err = prune.Packages(t.Context(), d, false)
	require.NoError(t, err)
	require.Equal(t, want, freed)

	left, err := os.ReadDir(cache.Packages())
	require.NoError(t, err)
	require.Len(t, left, 3)
}
