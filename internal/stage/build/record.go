package build

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/gitinfo"
	"github.com/nestos/nosa-actions/internal/image/oci"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// record makes the commit a build: archive, records, and at last the rename that
// lets others see it.
func (s *session) record(ctx context.Context, c *commit) (workdir.Build, error) {
	reference, err := s.dir.Reference("")
	if err != nil {
		return workdir.Build{}, err
	}
	id, genver := workdir.BuildID(c.Version, c.Checksum, reference)
	if err := s.repo.SetRef(ctx, id, c.Checksum); err != nil {
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
	if err := s.writeRecords(c, meta); err != nil {
		return workdir.Build{}, err
	}
	build, err := s.dir.Publish(s.tmp, id)
	if err != nil {
		return workdir.Build{}, fmt.Errorf("publish build %s: %w", id, err)
	}
	return build, nil
}

// meta is what is known of the build without its artifacts.
func (s *session) meta(c *commit) (*workdir.Meta, error) {
	m := s.config.Manifest
	meta := &workdir.Meta{
		Name: m.Name(), Summary: m.Rojig.Summary, Ref: m.Ref,
		OSTreeCommit: c.Checksum, OSTreeContentChecksum: c.ContentChecksum,
		OSTreeTimestamp: workdir.Timestamp(c.Timestamp), OSTreeVersion: c.Version, InputHash: c.inputHash,
		Basearch: s.dir.Arch.RPM, BuildTimestamp: workdir.Timestamp(s.now), CodeSource: "container",
		ConfigVariant: s.config.Variant, OverridesActive: s.overridesActive(),
		ImageConfigChecksum: s.imageSum,
		ImageInputChecksum:  workdir.ImageInputChecksum(c.Checksum, s.imageSum),
		DelayedMetaMerge:    &s.opt.DelayMetaMerge,
	}
	if s.git != nil {
		git := workdir.Git(s.git.Git())
		meta.ConfigGit = &git
		meta.ConfigGitrev, meta.ConfigDirty = s.git.Describe, fmt.Sprint(s.git.Dirty)
	}
	if s.previous == nil {
		return meta, nil
	}
	diff, err := s.packageDiff()
	if err != nil {
		return nil, err
	}
	meta.PkgDiff = make([]json.RawMessage, 0, len(diff))
	for _, change := range diff {
		text, err := json.Marshal(change)
		if err != nil {
			return nil, err
		}
		meta.PkgDiff = append(meta.PkgDiff, text)
	}
	return meta, nil
}

// archive writes the OCI archive and its manifest, or takes over those of the
// previous build when the commit is the same.
func (s *session) archive(ctx context.Context, c *commit, meta *workdir.Meta) error {
	archive, err := s.fileName("ostree", meta)
	if err != nil {
		return err
	}
	manifest, err := s.fileName("oci-manifest", meta)
	if err != nil {
		return err
	}
	if c.fresh {
		err = s.export(ctx, c, archive, manifest)
	} else {
		err = s.relink(archive, manifest)
	}
	if err != nil {
		return err
	}
	for name, path := range map[string]string{"ostree": archive, "oci-manifest": manifest} {
		image, err := workdir.DescribeImage(path)
		if err != nil {
			return err
		}
		image.SkipCompression = true // both are read by the next build
		meta.SetImage(name, image)
	}
	return nil
}

func (s *session) fileName(kind string, meta *workdir.Meta) (string, error) {
	k, err := workdir.FindImageKind(kind)
	return filepath.Join(s.tmp, k.FileName(meta.Name, meta.BuildID, s.dir.Arch.RPM)), err
}

// relink gives the previous build's archive a second name.
func (s *session) relink(archive, manifest string) error {
	for name, to := range map[string]string{"ostree": archive, "oci-manifest": manifest} {
		from := s.previous.Path(s.previousMeta.Images[name].Path)
		if err := os.Link(from, to); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) export(ctx context.Context, c *commit, archive, manifest string) error {
	step := s.log.Step("write the OCI archive")
	defer step.Stop()
	text, err := oci.Export(ctx, s.run, oci.ExportInput{
		Repo: s.repo.Path, Commit: c.Checksum, Output: archive, Arch: s.dir.Arch,
		Labels: s.labels(c), Cmd: s.config.Manifest.ContainerCmd,
		Created: c.Timestamp, Packages: packageFiles(c), Previous: s.previousManifest(),
	})
	if err != nil {
		return fmt.Errorf("write the OCI archive: %w", err)
	}
	step.Done("")
	return os.WriteFile(manifest, text, 0o644)
}

func (s *session) labels(c *commit) map[string]string {
	labels := map[string]string{
		"coreos-assembler.image-config-checksum": s.imageSum,
		"coreos-assembler.image-input-checksum":  workdir.ImageInputChecksum(c.Checksum, s.imageSum),
	}
	if s.git != nil {
		labels["org.opencontainers.image.source"] = s.git.Origin
		labels["org.opencontainers.image.revision"] = s.git.Describe
	}
	for _, key := range []string{"nestos.stream", "fedora-coreos.stream"} {
		if stream, ok := s.config.Manifest.AddCommitMetadata[key].(string); ok {
			labels[key] = stream
		}
	}
	return labels
}

// previousManifest is the OCI manifest of the build before, by which packages
// stay in the layers they were in; nil if it cannot be had.
func (s *session) previousManifest() []byte {
	if s.previous == nil {
		return nil
	}
	text, err := os.ReadFile(s.previous.Path(s.previousMeta.Images["oci-manifest"].Path))
	if err != nil {
		return nil
	}
	return text
}

func packageFiles(c *commit) []oci.PackageFiles {
	byName := map[string]*oci.PackageFiles{}
	list := make([]oci.PackageFiles, len(c.packages))
	for i, p := range c.packages {
		list[i] = oci.PackageFiles{Name: p.Name, Source: p.SourceRPM}
		byName[p.Name] = &list[i]
	}
	for _, f := range c.owned {
		if p, ok := byName[f.Package]; ok {
			p.Paths = append(p.Paths, f.Path)
		}
	}
	return list
}

// writeRecords writes the files beside meta.json, and it.
func (s *session) writeRecords(c *commit, meta *workdir.Meta) error {
	object, err := s.repo.CommitObject(c.Checksum)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.tmp, "ostree-commit-object"), object, 0o444); err != nil {
		return err
	}
	if err := s.writeCommitMeta(c); err != nil {
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
	if err := s.archiveConfig(); err != nil {
		return err
	}
	return workdir.WriteMeta(s.tmp, meta)
}

// writeCommitMeta writes commitmeta.json; that of an unchanged commit is the
// previous build's.
func (s *session) writeCommitMeta(c *commit) error {
	if c.fresh {
		return workdir.WriteCommitMeta(s.tmp, c.metadata)
	}
	const name = "commitmeta.json"
	text, err := os.ReadFile(s.previous.Path(name))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.tmp, name), text, 0o644)
}

// archiveConfig keeps a copy of the config beside the build.
func (s *session) archiveConfig() error {
	if s.git == nil {
		return nil
	}
	var file *gitinfo.File
	var err error
	if !s.opt.SkipConfigArchive {
		file, err = gitinfo.Archive(s.config.Dir, filepath.Join(s.tmp, "coreos-assembler-config.tar.gz"), s.git.Time)
		if err != nil {
			return err
		}
	}
	return gitinfo.WriteRecord(filepath.Join(s.tmp, "coreos-assembler-config-git.json"), *s.git, file, s.now)
}
