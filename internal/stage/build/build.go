// Package build is the stage that composes the fetched packages, the overlays
// and the scripts of the config into an OSTree commit, and records it as a
// build. It uses no network.
package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

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
	Version    string // of the commit; empty: from automatic-version-prefix
	Parent     string // checksum of the commit's parent; empty: none
	// DelayMetaMerge lets later stages write beside meta.json; see workdir.
	DelayMetaMerge bool
	// SkipConfigArchive leaves the copy of the config out of the build.
	SkipConfigArchive bool
}

// Result says what came of it.
type Result struct {
	Build   workdir.Build
	Changed bool // false: the newest build still holds
}

// session is one run: what was read before the first decision.
type session struct {
	run    tool.Runner
	log    *progress.Log
	dir    *workdir.Dir
	opt    Options
	config *configrepo.Config
	git    *gitinfo.Info // of the config; nil if it is no git repository
	repo   *ostree.Repo
	now    time.Time
	tmp    string // tmp/build

	fetched   *rpmrepo.Fetched
	overlays  []layer
	imageJSON []byte
	imageSum  string

	previous     *workdir.Build // newest build, or nil
	previousMeta *workdir.Meta
}

// Run makes a build, unless nothing has changed since the newest one.
func Run(ctx context.Context, r tool.Runner, log *progress.Log, dir *workdir.Dir, o Options) (*Result, error) {
	s := &session{run: r, log: log, dir: dir, opt: o, now: now()}
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	commit, err := s.compose(ctx)
	if err != nil {
		return nil, err
	}
	if !commit.fresh && !o.ForceImage && s.previous != nil &&
		s.previousMeta.ImageInputChecksum == workdir.ImageInputChecksum(commit.Checksum, s.imageSum) {
		log.Notef("No changes in image inputs.")
		return &Result{Build: *s.previous}, nil
	}
	build, err := s.record(ctx, commit)
	if err != nil {
		return nil, err
	}
	return &Result{Build: build, Changed: true}, s.repo.Prune(ctx, 2)
}

// now is the time that goes into the build; SOURCE_DATE_EPOCH stands in for the
// clock where someone wants the same bytes again
// (https://reproducible-builds.org/specs/source-date-epoch).
func now() time.Time {
	if seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		return time.Unix(seconds, 0).UTC()
	}
	return time.Now().UTC().Truncate(time.Second)
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
	if err := s.loadFetched(); err != nil {
		return err
	}
	switch git, err := gitinfo.Read(ctx, s.run, s.config.Dir); {
	case err == nil:
		s.git = &git
	case !errors.Is(err, gitinfo.ErrNoRepo):
		return err
	}
	if s.tmp, err = s.dir.BeginBuild(""); err != nil {
		return err
	}
	if err := os.MkdirAll(s.scratch(), 0o755); err != nil {
		return err
	}
	if s.imageJSON, s.imageSum, err = s.config.ImageJSON(); err != nil {
		return err
	}
	if s.repo, err = ostree.OpenCache(ctx, s.run, filepath.Join(s.dir.Tmp(), "repo"), s.dir.Transient()); err != nil {
		return err
	}
	if err := s.loadPrevious(ctx); err != nil {
		return err
	}
	return s.commitOverlays(ctx)
}

// loadFetched reads what fetch left and makes sure that it is what the config
// asks for now.
func (s *session) loadFetched() error {
	fetched, err := rpmrepo.Cache(s.dir.Cache()).Load()
	if errors.Is(err, rpmrepo.ErrNotFetched) {
		return errors.New("must fetch before building; run nosa fetch")
	}
	if err != nil {
		return err
	}
	digest, err := s.config.PackagesDigest()
	if err != nil {
		return err
	}
	if digest != fetched.PackagesDigest {
		return errors.New("the packages of the manifest have changed since the last fetch; run nosa fetch")
	}
	overrides, err := filepath.Glob(filepath.Join(s.dir.Overrides(), "rpm", "*.rpm"))
	if err != nil {
		return err
	}
	if len(overrides) > 0 {
		return fmt.Errorf("%s holds packages, which this version does not build with yet; remove them", filepath.Dir(overrides[0]))
	}
	s.fetched = fetched
	return nil
}

// loadPrevious finds the build to compare with. One whose directory is gone does
// not count.
func (s *session) loadPrevious(ctx context.Context) error {
	build, err := s.dir.Latest()
	if errors.Is(err, workdir.ErrNoBuild) {
		return nil
	}
	if err != nil {
		return err
	}
	meta, err := build.Meta()
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.ensureCommit(ctx, build, meta); err != nil {
		return err
	}
	s.previous, s.previousMeta = &build, meta
	return nil
}

// scratch is the part of the temporary build that does not become part of the
// build.
func (s *session) scratch() string { return filepath.Join(s.tmp, "tmp") }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
