// Package fetch is the stage that turns the config's wishes into exact packages
// and brings them into the cache. It is the only stage that uses the network.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

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
	// AutoLock is the id of a build whose packages stand in for a base
	// lockfile; empty: none.
	AutoLock string
	// AutoLockIfAny makes that a wish: without such a build, or with a base
	// lockfile, the fetch goes on without.
	AutoLockIfAny bool
	// WithOverrides also fetches what the packages in overrides/rpm need.
	WithOverrides bool
	DryRun        bool // solve only
}

func (o Options) validate() error {
	if o.AutoLock == "" {
		return nil
	}
	if o.Strict {
		return errors.New("--strict and --autolock exclude each other: the packages of a build may be of another architecture")
	}
	if strings.ContainsRune(o.AutoLock, '/') || o.AutoLock == "." || o.AutoLock == ".." {
		return fmt.Errorf("--autolock: %q is no id of a build", o.AutoLock)
	}
	return nil
}

// Result says what was fetched.
type Result struct {
	Packages []rpmrepo.Package
	Bytes    int64  // size of all package files
	Lockfile string // written lockfile, or ""
}

// fetcher is one run.
type fetcher struct {
	run    tool.Runner
	log    *progress.Log
	dir    *workdir.Dir
	opt    Options
	config *configrepo.Config
	locks  *lock.File
	cache  rpmrepo.Cache
}

// Run solves, downloads and verifies, and records the result in the cache.
func Run(ctx context.Context, r tool.Runner, log *progress.Log, dir *workdir.Dir, o Options) (*Result, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	f := &fetcher{run: r, log: log, dir: dir, opt: o, cache: rpmrepo.Cache(dir.Cache())}
	if err := f.load(ctx); err != nil {
		return nil, err
	}
	fetched, chosen, err := f.solve(ctx)
	if err != nil {
		return nil, err
	}
	if !o.DryRun {
		if err := errors.Join(f.cache.Save(fetched), f.cache.Prune(fetched)); err != nil {
			return nil, err
		}
	}
	result := &Result{Packages: chosen.Packages}
	for _, p := range chosen.Packages {
		result.Bytes += p.Size
	}
	result.Lockfile, err = f.writeLockfile(chosen)
	return result, err
}

// load reads the config and its lockfiles.
func (f *fetcher) load(ctx context.Context) error {
	variant, err := f.dir.Variant()
	if err != nil {
		return err
	}
	f.config, err = configrepo.Load(ctx, configrepo.Location{
		Dir: f.dir.Config(), YumRepos: filepath.Join(f.dir.Path, "src/yumrepos"), Variant: variant, Arch: f.dir.Arch,
	})
	if err != nil {
		return err
	}
	options := configrepo.LockOptions{WithoutBase: f.writes()}
	if f.opt.AutoLock != "" {
		options.Auto = filepath.Join(f.dir.BuildsDir(), f.opt.AutoLock)
	}
	if f.opt.AutoLockIfAny && f.config.Locks.HasBase {
		options.Auto = ""
	}
	f.locks, err = f.config.LoadLocks(options)
	if f.opt.AutoLockIfAny && errors.Is(err, configrepo.ErrNoGeneratedLockfile) {
		options.Auto = ""
		f.locks, err = f.config.LoadLocks(options)
	}
	return err
}

func (f *fetcher) writes() bool { return f.opt.UpdateLockfile || f.opt.WriteLockfileTo != "" }

// solve gives what to record, and the packages that this fetch was about: with
// overrides those of a compose that includes them.
func (f *fetcher) solve(ctx context.Context) (*rpmrepo.Fetched, *rpmrepo.Solution, error) {
	digest, err := f.config.PackagesDigest()
	if err != nil {
		return nil, nil, err
	}
	fetched := &rpmrepo.Fetched{PackagesDigest: digest}
	overrides, err := f.overrides()
	if err != nil {
		return nil, nil, err
	}
	if len(overrides) == 0 {
		solution, err := f.resolve(ctx, nil)
		if err != nil {
			return nil, nil, err
		}
		fetched.Solution = *solution
		return fetched, solution, nil
	}
	with, err := f.resolve(ctx, overrides)
	if err != nil {
		return nil, nil, err
	}
	without, err := f.resolve(ctx, nil)
	switch {
	case errors.Is(err, rpmrepo.ErrUnsolvable):
		f.log.Notef("without the packages in overrides/rpm this config cannot be built: %v", err)
		without = &rpmrepo.Solution{Repos: with.Repos}
	case err != nil:
		return nil, nil, err
	}
	fetched.Solution = *without
	fetched.AddOverrideNeeds(with)
	return fetched, with, nil
}

func (f *fetcher) overrides() ([]string, error) {
	if !f.opt.WithOverrides {
		return nil, nil
	}
	return rpmrepo.Overrides(filepath.Join(f.dir.Overrides(), "rpm"))
}

// resolve asks the repositories.
func (f *fetcher) resolve(ctx context.Context, overrides []string) (*rpmrepo.Solution, error) {
	req, err := f.config.Request(f.locks, f.opt.Strict)
	if err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp(f.dir.Tmp(), "fetch-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	req.Cache, req.Packages, req.Scratch = f.cache.Metadata(), f.cache.Packages(), scratch
	req.DryRun, req.Progress, req.Overrides = f.opt.DryRun, f.log.Writer(), overrides

	what := "resolve and download packages"
	if len(overrides) > 0 {
		what += fmt.Sprintf(" with %d overrides", len(overrides))
	}
	step := f.log.Step("%s", what)
	defer step.Stop()
	solution, err := rpmrepo.Solve(ctx, f.run, req)
	if err != nil {
		return nil, err
	}
	step.Done("%d packages", len(solution.Packages))
	for _, warning := range solution.Warnings {
		f.log.Notef("warning: %s", warning)
	}
	return solution, nil
}

// writeLockfile writes the lockfile that was asked for and returns its path.
func (f *fetcher) writeLockfile(chosen *rpmrepo.Solution) (string, error) {
	if !f.writes() {
		return "", nil
	}
	path := f.config.Locks.Base
	if f.opt.WriteLockfileTo != "" {
		path = inDir(f.dir.Path, f.opt.WriteLockfileTo)
	}
	generated, err := chosen.Lockfile()
	if err != nil {
		return "", err
	}
	if err := generated.WithoutDigests().Save(path); err != nil {
		return "", fmt.Errorf("write lockfile: %w", err)
	}
	return path, nil
}

func inDir(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
