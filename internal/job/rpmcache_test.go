package job

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/arch"
)

func TestPackagesThatAreTooManyAreNotSaved(t *testing.T) {
	for size, saved := range map[int64]bool{5e9: true, 5e9 + 1: false} {
		var log bytes.Buffer
		j := &Job{
			Step: action.New(func(string) (string, bool) { return "", false }, &log),
			Arch: arch.X86_64, Workdir: t.TempDir(), temp: t.TempDir(),
		}
		packages := filepath.Join(j.Workdir, "cache", "rpms")
		require.NoError(t, errors.Join(os.MkdirAll(packages, 0o755), os.Mkdir(filepath.Join(j.Workdir, "builds"), 0o755)))
		require.NoError(t, os.WriteFile(filepath.Join(packages, "a-1-1.noarch.rpm"), nil, 0o644))
		record := fmt.Sprintf(`{"packages": [{"file": "a-1-1.noarch.rpm", "size": %d}]}`, size)
		require.NoError(t, os.WriteFile(filepath.Join(j.Workdir, "cache", "packages.json"), []byte(record), 0o644))

		got, err := j.OfferPackages(&PackageCache{Keys: CacheKeys{Key: "k", Restore: []string{"k-"}}})

		require.NoError(t, err)
		require.Equal(t, saved, got.SaveKey != "", log.String())
		if !saved {
			require.Contains(t, log.String(), "packages of 5 GB are too many for the cache of a repository")
			require.NoDirExists(t, filepath.Join(j.temp, restored))
		}
	}
}
