package prune

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/lock"
	"github.com/nestos/nosa-actions/internal/rpmrepo"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// cacheAge is how long a package stays in the cache that nothing needs at the
// moment: branches come and go.
const cacheAge = 30 * 24 * time.Hour

// Freed is what Packages removed, or with a dry run would remove.
type Freed struct {
	Files []string // names, sorted
	Bytes int64
}

// Packages removes the packages from the cache that are older than 30 days and
// neither in the newest build nor in the last fetch.
func Packages(ctx context.Context, d *workdir.Dir, dryRun bool) (Freed, error) {
	cache := rpmrepo.Cache(d.Cache())
	wanted, err := needed(d, cache)
	if err != nil {
		return Freed{}, err
	}
	entries, err := os.ReadDir(cache.Packages())
	if errors.Is(err, fs.ErrNotExist) {
		return Freed{}, nil
	}
	if err != nil {
		return Freed{}, err
	}
	var freed Freed
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return freed, err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // somebody else is at it
		}
		if err != nil {
			return freed, err
		}
		if wanted[e.Name()] || !info.Mode().IsRegular() || time.Since(info.ModTime()) < cacheAge {
			continue
		}
		if !dryRun {
			if err := os.Remove(filepath.Join(cache.Packages(), e.Name())); err != nil {
				return freed, err
			}
		}
		freed.Files, freed.Bytes = append(freed.Files, e.Name()), freed.Bytes+info.Size()
	}
	return freed, nil
}

// needed are the names of the files of the last fetch and of the newest build.
func needed(d *workdir.Dir, cache rpmrepo.Cache) (map[string]bool, error) {
	wanted := map[string]bool{}
	fetched, err := cache.Load()
	switch {
	case errors.Is(err, rpmrepo.ErrNotFetched):
	case err != nil:
		return nil, err
	default:
		for _, p := range slices.Concat(fetched.Packages, fetched.Extra) {
			wanted[p.File] = true
		}
	}
	b, err := d.Latest()
	if errors.Is(err, workdir.ErrNoBuild) {
		return wanted, nil
	}
	if err != nil {
		return nil, err
	}
	locked, err := lock.Load(b.Path("manifest-lock.generated." + d.Arch.RPM + ".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return wanted, nil
	}
	if err != nil {
		return nil, err
	}
	for name, p := range locked.Packages {
		_, version, found := strings.Cut(p.EVRA, ":") // file names have no epoch
		if !found {
			version = p.EVRA
		}
		wanted[name+"-"+version+".rpm"] = true
	}
	return wanted, nil
}
