package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/gitinfo"
	"github.com/nestos/nosa-actions/internal/rpmrepo"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// record makes the commit a build: archive, records, and at last the rename that
// lets others see it.
func (s *session) record(ctx context.Context, c *commit) (workdir.Build, error) {
	id, genver, err := s.buildID(c)
	if err != nil {
		return workdir.Build{}, err
	}
	if err := s.repo.SetRef(id, c.Checksum); err != nil {
		return workdir.Build{}, err
	}
	meta, err := s.meta(c)
	if err != nil {
		return workdir.Build{}, err
	}
	meta.BuildID, meta.ImageGenver = id, &genver
	if err := s.archive(ctx, c, meta); err != nil {
		return workdir.Build{}, err
	}
	if err := s.writeRecords(ctx, c, meta); err != nil {
		return workdir.Build{}, err
	}
	if err := s.discarded.Wait(); err != nil {
		return workdir.Build{}, err
	}
	build, err := s.dir.Publish(s.tmp, id)
	if err != nil {
		return workdir.Build{}, fmt.Errorf("publish build %s: %w", id, err)
	}
	return build, nil
}

// buildID is the id of the new build and its generation: how many builds of the
// same commit came before.
func (s *session) buildID(c *commit) (id string, genver int, err error) {
	reference, err := s.dir.Reference(s.opt.ParentBuild)
	if err != nil {
		return "", 0, err
	}
	for {
		id, genver = workdir.BuildID(c.Version, c.Checksum, reference)
		taken, err := s.dir.Build(id)
		if errors.Is(err, workdir.ErrNoBuild) {
			return id, genver, nil
		}
		if err != nil {
			return "", 0, err
		}
		if reference, err = taken.Meta(); err != nil {
			return "", 0, err
		}
		if reference.OSTreeCommit != c.Checksum {
			return "", 0, errTaken(id)
		}
	}
}

// meta is what is known of the build without its artifacts. What was recorded of
// the commit before stays, unless this run knows better.
func (s *session) meta(c *commit) (*workdir.Meta, error) {
	m := s.config.Manifest
	meta := c.record
	meta.Images, meta.Stamp = nil, 0
	meta.Name, meta.Summary, meta.Ref = m.Name(), m.Rojig.Summary, m.Ref
	meta.Basearch, meta.CodeSource, meta.ConfigVariant = s.dir.Arch.RPM, "container", s.config.Variant
	meta.BuildTimestamp = workdir.Timestamp(s.now)
	meta.ImageConfigChecksum = s.imageSum
	meta.ImageInputChecksum = workdir.ImageInputChecksum(c.Checksum, s.imageSum)
	meta.DelayedMetaMerge = &s.opt.DelayMetaMerge
	meta.ConfigGit, meta.YumReposGit = gitRecord(s.git), gitRecord(s.repos)
	meta.ConfigGitrev, meta.ConfigDirty = "", ""
	if s.git != nil {
		meta.ConfigGitrev, meta.ConfigDirty = s.git.Describe, fmt.Sprint(s.git.Dirty)
	}
	var err error
	if meta.OverridesActive, err = s.overridesActive(); err != nil {
		return nil, err
	}
	return &meta, s.addDiffs(c, &meta)
}

func gitRecord(info *gitinfo.Info) *workdir.Git {
	if info == nil {
		return nil
	}
	git := workdir.Git(info.Git())
	return &git
}

// overridesActive tells whether a developer's own packages or files are in the
// tree.
func (s *session) overridesActive() (bool, error) {
	packages, err := rpmrepo.Overrides(filepath.Join(s.dir.Overrides(), "rpm"))
	return len(packages) > 0 || s.hasOverrideFiles(), err
}

// addDiffs compares the packages with those of the newest build, and with those
// of the parent unless that is the same.
func (s *session) addDiffs(c *commit, meta *workdir.Meta) (err error) {
	packages := c.Packages()
	if s.previous != nil {
		changes := diff(s.previous.commit.Packages(), packages)
		tell(s.log, "build "+s.previous.build.ID, changes)
		if meta.PkgDiff, err = encodeDiff(changes); err != nil {
			return err
		}
	}
	if s.parent == nil || s.previous != nil && s.parent.commit.Checksum == s.previous.commit.Checksum {
		return nil
	}
	changes := diff(s.parent.commit.Packages(), packages)
	tell(s.log, "the parent, build "+s.parent.build.ID, changes)
	meta.ParentPkgDiff, err = encodeDiff(changes)
	return err
}

// writeRecords writes the files beside meta.json, and it.
func (s *session) writeRecords(ctx context.Context, c *commit, meta *workdir.Meta) error {
	object, err := s.repo.CommitObject(c.Checksum)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.tmp, "ostree-commit-object"), object, 0o444); err != nil {
		return err
	}
	if err := workdir.WriteCommitMeta(s.tmp, c.Metadata); err != nil {
		return err
	}
	treefile, err := s.config.Manifest.JSON()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.tmp, "manifest.json"), treefile, 0o644); err != nil {
		return err
	}
	generated, err := s.fetched.Lockfile()
	if err != nil {
		return err
	}
	lockfile := filepath.Join(s.tmp, "manifest-lock.generated."+s.dir.Arch.RPM+".json")
	if err := generated.WithoutDigests().Save(lockfile); err != nil {
		return err
	}
	if err := s.recordGit(ctx); err != nil {
		return err
	}
	return workdir.WriteMeta(s.tmp, meta)
}

// recordGit writes down which checkouts the build is of, and keeps a copy of the
// config.
func (s *session) recordGit(ctx context.Context) error {
	if s.repos != nil {
		if err := gitinfo.WriteRecord(filepath.Join(s.tmp, "coreos-assembler-yumrepos-git.json"), *s.repos, nil, s.now); err != nil {
			return err
		}
	}
	if s.git == nil {
		return nil
	}
	var file *gitinfo.File
	if !s.opt.SkipConfigArchive {
		tracked, err := gitinfo.Tracked(ctx, s.run, s.config.Dir)
		if err != nil {
			return err
		}
		file, err = gitinfo.Archive(s.config.Dir, tracked, filepath.Join(s.tmp, "coreos-assembler-config.tar.gz"), s.git.Time)
		if err != nil {
			return err
		}
	}
	return gitinfo.WriteRecord(filepath.Join(s.tmp, "coreos-assembler-config-git.json"), *s.git, file, s.now)
}
