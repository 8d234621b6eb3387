package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/gitinfo"
	"github.com/nestos/nosa-actions/internal/image/oci"
	"github.com/nestos/nosa-actions/internal/ostree"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// known is a build that was made before, and its commit.
type known struct {
	build  workdir.Build
	meta   *workdir.Meta
	commit *ostree.Commit
}

// loadBuilds finds the builds to compare with. A newest build whose directory is
// gone does not count; a parent that was named must be here.
func (s *session) loadBuilds(ctx context.Context) error {
	build, err := s.dir.Latest()
	if err == nil {
		s.previous, err = s.known(ctx, build)
	}
	if err != nil && !errors.Is(err, workdir.ErrNoBuild) {
		return err
	}
	if s.previous != nil {
		s.log.Notef("previous build: %s", s.previous.build.ID)
		if err := s.adoptRef(ctx); err != nil {
			return err
		}
	}
	if s.opt.ParentBuild == "" {
		return nil
	}
	if build, err = s.dir.Build(s.opt.ParentBuild); err != nil {
		return fmt.Errorf("--parent-build: %w", err)
	}
	s.parent, err = s.known(ctx, build)
	return err
}

// known reads a build and makes sure that the repository, which may have been
// thrown away, knows its commit. The content is not needed.
func (s *session) known(ctx context.Context, build workdir.Build) (*known, error) {
	meta, err := build.Meta()
	if err != nil {
		return nil, err
	}
	if !s.repo.Has(meta.OSTreeCommit) {
		if err := s.bringCommit(ctx, build, meta); err != nil {
			return nil, err
		}
	}
	if err := s.repo.SetRef(build.ID, meta.OSTreeCommit); err != nil {
		return nil, err
	}
	commit, err := s.repo.Show(meta.OSTreeCommit)
	return &known{build: build, meta: meta, commit: commit}, err
}

// bringCommit puts a build's commit object into the repository; one without the
// file for it has it in its archive.
func (s *session) bringCommit(ctx context.Context, build workdir.Build, meta *workdir.Meta) error {
	object, err := os.ReadFile(build.Path("ostree-commit-object"))
	if errors.Is(err, os.ErrNotExist) {
		return s.restore(ctx, &known{build: build, meta: meta})
	}
	if err != nil {
		return err
	}
	sum, err := s.repo.AddPartial(object)
	if err == nil && sum != meta.OSTreeCommit {
		err = fmt.Errorf("its commit object is that of %s, the metadata names %s", sum, meta.OSTreeCommit)
	}
	if err != nil {
		return fmt.Errorf("commit of build %s: %w", build.ID, err)
	}
	return nil
}

// restore makes sure that the content of a build's commit is in the repository.
func (s *session) restore(ctx context.Context, k *known) error {
	return oci.Restore(ctx, s.run, s.log, s.repo, oci.Archived{
		Build: k.build.ID, Commit: k.meta.OSTreeCommit, Archive: k.build.Path(k.meta.Images["ostree"].Path),
	})
}

// adoptRef lets the config's ref name the newest build's commit, if it names
// none yet, or if the build was made for another ref.
func (s *session) adoptRef(ctx context.Context) error {
	ref := s.config.Manifest.Ref
	if ref == "" {
		return nil
	}
	at, err := s.repo.Resolve(ctx, ref)
	if err != nil {
		return err
	}
	if at != "" && s.previous.meta.Ref == ref {
		return nil
	}
	return s.repo.SetRef(ref, s.previous.commit.Checksum)
}

// readGit reads the state of the checkouts that the build is made from.
func (s *session) readGit(ctx context.Context) error {
	for dir, info := range map[string]**gitinfo.Info{s.config.Dir: &s.git, s.yumRepos(): &s.repos} {
		git, err := gitinfo.Read(ctx, s.run, dir)
		if err == nil {
			*info = &git
		} else if !errors.Is(err, gitinfo.ErrNoRepo) && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if s.git != nil {
		note := ""
		if s.git.Dirty {
			note = ", with changes that are not committed"
		}
		s.log.Notef("config: %s%s", s.git.Describe, note)
	}
	return nil
}

// yumRepos is the directory of a second repository with .repo files, which may
// be missing.
func (s *session) yumRepos() string { return filepath.Join(s.dir.Path, "src", "yumrepos") }
