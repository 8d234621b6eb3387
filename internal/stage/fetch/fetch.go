// Package fetch is the stage that turns the config's wishes into exact packages
// and brings them into the cache. It is the only stage that uses the network.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/configrepo"
	"github.com/nestos/nosa-actions/internal/lock"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/rpmrepo"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// Options say how to fetch.
type Options struct {
	Strict bool // only locked packages
	// UpdateLockfile writes the base lockfile anew instead of heeding it.
	UpdateLockfile bool
	// WriteLockfileTo does the same to another file, relative to the work
	// directory.
	WriteLockfileTo string
	DryRun          bool // solve only
}

// Result says what was fetched.
type Result struct {
	Packages []rpmrepo.Package
	Bytes    int64  // size of all package files
	Lockfile string // written lockfile, or ""
}

// Run solves, downloads and verifies, and records the result in the cache.
func Run(ctx context.Context, r tool.Runner, log *progress.Log, dir *workdir.Dir, o Options) (*Result, error) {
	variant, err := dir.Variant()
	if err != nil {
		return nil, err
	}
	config, err := configrepo.Load(ctx, configrepo.Location{
		Dir: dir.Config(), YumRepos: filepath.Join(dir.Path, "src/yumrepos"), Variant: variant, Arch: dir.Arch,
	})
	if err != nil {
		return nil, err
	}
	writes := o.UpdateLockfile || o.WriteLockfileTo != ""
	locks, err := config.LoadLocks(!writes)
	if err != nil {
		return nil, err
	}
	fetched, err := solve(ctx, r, log, dir, config, locks, o)
	if err != nil {
		return nil, err
	}
	result := &Result{Packages: fetched.Packages}
	for _, p := range fetched.Packages {
		result.Bytes += p.Size
	}
	if writes {
		result.Lockfile = config.Locks.Base
		if o.WriteLockfileTo != "" {
			result.Lockfile = inDir(dir.Path, o.WriteLockfileTo)
		}
		generated, err := fetched.Lockfile()
		if err != nil {
			return nil, err
		}
		if err := generated.WithoutDigests().Save(result.Lockfile); err != nil {
			return nil, fmt.Errorf("write lockfile: %w", err)
		}
	}
	return result, nil
}

func solve(ctx context.Context, r tool.Runner, log *progress.Log, dir *workdir.Dir,
	config *configrepo.Config, locks *lock.File, o Options,
) (*rpmrepo.Fetched, error) {
	req, err := config.Request(locks, o.Strict)
	if err != nil {
		return nil, err
	}
	digest, err := config.PackagesDigest()
	if err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp(dir.Tmp(), "fetch-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	cache := rpmrepo.Cache(dir.Cache())
	req.Cache, req.Packages, req.Scratch = cache.Metadata(), cache.Packages(), scratch
	req.DryRun, req.Progress = o.DryRun, log.Writer()

	step := log.Step("resolve and download packages")
	defer step.Stop()
	solution, err := rpmrepo.Solve(ctx, r, req)
	if err != nil {
		return nil, err
	}
	step.Done("%d packages", len(solution.Packages))
	for _, name := range solution.UnmatchedLocks {
		log.Notef("warning: no repository has the locked package %s", name)
	}
	fetched := &rpmrepo.Fetched{PackagesDigest: digest, Solution: *solution}
	if o.DryRun {
		return fetched, nil
	}
	return fetched, errors.Join(cache.Save(fetched), cache.Prune(fetched))
}

func inDir(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
