// Package build is the stage that composes the fetched packages, the overlays
// and the scripts of the config into an OSTree commit, and records it as a
// build. It uses no network.
package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/configrepo"
	"github.com/nestos/nosa-actions/internal/gitinfo"
	"github.com/nestos/nosa-actions/internal/ostree"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/rpmrepo"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// Options say how to build.
type Options struct {
	Force      bool   // compose even if nothing has changed
	ForceImage bool   // a new build id even if the images would be the same
	Strict     bool   // only packages that a lockfile names
	Version    string // of the commit; empty: that of the config, or the next one
	Parent     string // checksum of the commit's parent; empty: that of ParentBuild
	// ParentBuild is the id of the build that the new one comes after, such as
	// the last release; empty: the commit has no parent, and the newest build
	// stands in where builds are compared.
	ParentBuild string
	// PrepareOnly ends the run before the compose, when all input has been read
	// and checked.
	PrepareOnly bool
	// DelayMetaMerge lets later stages write beside meta.json; see workdir.
	DelayMetaMerge bool
	// SkipConfigArchive leaves the copy of the config out of the build.
	SkipConfigArchive bool
}

// Result says what came of it.
type Result struct {
	Build    workdir.Build
	Changed  bool // false: the newest build still holds
	Prepared bool // there is no build: only that was wanted
}

// session is one run: what was read before the first decision.
type session struct {
	run    tool.Runner
	log    *progress.Log
	dir    *workdir.Dir
	opt    Options
	config *configrepo.Config
	git    *gitinfo.Info // of the config; nil if it is no git repository
	repos  *gitinfo.Info // of src/yumrepos, likewise
	repo   *ostree.Repo
	now    time.Time // of the build; see also commitTime
	tmp    string    // tmp/build

	discarded errgroup.Group // removes meanwhile what is done with

	fetched   *rpmrepo.Fetched
	overlays  []layer
	shadow    [2]string // lines of shadow and gshadow for the seeded accounts, by kind
	imageJSON []byte
	imageSum  string

	previous *known // newest build, or nil
	parent   *known // build that the new one comes after, if one was named
}

// Run makes a build, unless nothing has changed since the newest one.
func Run(ctx context.Context, r tool.Runner, log *progress.Log, dir *workdir.Dir, o Options) (*Result, error) {
	s := &session{run: r, log: log, dir: dir, opt: o, now: time.Now().UTC()}
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	if o.PrepareOnly {
		return &Result{Prepared: true}, nil
	}
	commit, err := s.compose(ctx)
	if err != nil {
		return nil, err
	}
	if !commit.fresh && !o.ForceImage && s.sameImages(commit) {
		log.Notef("No changes in image inputs.")
		return &Result{Build: s.previous.build}, nil
	}
	build, err := s.record(ctx, commit)
	if err != nil {
		return nil, err
	}
	return &Result{Build: build, Changed: true}, s.repo.Prune(ctx, 2)
}

// sameImages tells whether the images of the commit would be those of the newest
// build.
func (s *session) sameImages(c *commit) bool {
	return s.previous != nil &&
		s.previous.meta.ImageInputChecksum == workdir.ImageInputChecksum(c.Checksum, s.imageSum)
}

// prepare reads all inputs and refuses what cannot become a build.
func (s *session) prepare(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("composing a tree needs root: files have many owners; run nosa with sudo")
	}
	if err := tool.Need("rpm", "ostree", "bwrap", "cp"); err != nil {
		return err
	}
	variant, err := s.dir.Variant()
	if err != nil {
		return err
	}
	s.config, err = configrepo.Load(ctx, configrepo.Location{
		Dir: s.dir.Config(), YumRepos: filepath.Join(s.dir.Path, "src/yumrepos"), Variant: variant, Arch: s.dir.Arch,
	})
	if err != nil {
		return err
	}
	if s.tmp, err = s.dir.BeginBuild(""); err != nil {
		return err
	}
	if err := os.MkdirAll(s.scratch(), 0o755); err != nil {
		return err
	}
	if err := s.loadFetched(ctx); err != nil {
		return err
	}
	if err := s.readGit(ctx); err != nil {
		return err
	}
	if s.imageJSON, s.imageSum, err = s.config.ImageJSON(); err != nil {
		return err
	}
	if s.repo, err = ostree.OpenCache(ctx, s.run, filepath.Join(s.dir.Tmp(), "repo"), s.dir.Transient()); err != nil {
		return err
	}
	if err := s.loadBuilds(ctx); err != nil {
		return err
	}
	return s.commitOverlays(ctx)
}

// loadFetched finds the packages: what fetch left, as the config asks for it now,
// with the developer's overrides.
func (s *session) loadFetched(ctx context.Context) error {
	scratch := filepath.Join(s.scratch(), "packages")
	if err := os.Mkdir(scratch, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	var err error
	s.fetched, err = s.config.Packages(ctx, s.run, configrepo.Compose{
		Cache: rpmrepo.Cache(s.dir.Cache()), Overrides: filepath.Join(s.dir.Overrides(), "rpm"), Scratch: scratch,
		Strict: s.opt.Strict,
	})
	if err != nil {
		return err
	}
	for _, warning := range s.fetched.Warnings {
		s.log.Notef("warning: %s", warning)
	}
	return nil
}

// scratch is the part of the temporary build that does not become part of the
// build.
func (s *session) scratch() string { return filepath.Join(s.tmp, "tmp") }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
