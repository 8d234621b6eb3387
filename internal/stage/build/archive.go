package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/image/oci"
	"github.com/nestos/nosa-actions/internal/rootfs"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// archive writes the OCI archive and its manifest, or takes over those of the
// newest build when the commit is the same, and enters them.
func (s *session) archive(ctx context.Context, c *commit, meta *workdir.Meta) error {
	archive, err := s.fileName("ostree", meta)
	if err != nil {
		return err
	}
	manifest, err := s.fileName("oci-manifest", meta)
	if err != nil {
		return err
	}
	linked, err := s.relink(c, archive, manifest)
	if err != nil {
		return err
	}
	if !linked {
		if err := s.export(ctx, c, archive, manifest); err != nil {
			return err
		}
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

// relink gives the newest build's archive a second name, if it is of the same
// commit and still there.
func (s *session) relink(c *commit, archive, manifest string) (bool, error) {
	if s.previous == nil || s.previous.commit.Checksum != c.Checksum {
		return false, nil
	}
	images := s.previous.meta.Images
	for _, file := range []struct{ name, to string }{{"ostree", archive}, {"oci-manifest", manifest}} {
		err := os.Link(s.previous.build.Path(images[file.name].Path), file.to)
		if errors.Is(err, os.ErrNotExist) {
			return false, os.RemoveAll(archive)
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

func (s *session) export(ctx context.Context, c *commit, archive, manifest string) error {
	step := s.log.Step("write the OCI archive")
	defer step.Stop()
	packages, err := s.packageFiles(ctx, c)
	if err != nil {
		return fmt.Errorf("packages of commit %s: %w", c.Checksum, err)
	}
	components, err := s.components(ctx, c)
	if err != nil {
		return err
	}
	earlier, earlierArchive := s.earlierArchive()
	text, err := oci.Export(ctx, s.run, oci.ExportInput{
		Repo: s.repo.Path, Commit: c.Checksum, Output: archive, Arch: s.dir.Arch,
		Labels: s.labels(c), Cmd: s.config.Manifest.ContainerCmd,
		Created: c.Timestamp, Packages: packages, Components: components, Previous: earlier, PreviousArchive: earlierArchive,
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
		if stream, ok := c.Metadata[key].(string); ok {
			labels[key] = stream
		}
	}
	return labels
}

// earlierArchive is the OCI manifest of the parent or else of the newest build,
// by which packages stay in the layers they were in, and its archive, from which
// unchanged layers come; nil if the manifest cannot be had.
func (s *session) earlierArchive() (manifest []byte, archive string) {
	for _, k := range []*known{s.parent, s.previous} {
		if k == nil {
			continue
		}
		text, err := os.ReadFile(k.build.Path(k.meta.Images["oci-manifest"].Path))
		if err == nil {
			return text, k.build.Path(k.meta.Images["ostree"].Path)
		}
	}
	return nil, ""
}

// packageFiles tells which files each package brought, as the commit's own rpm
// database has it: the commit may be that of an earlier run.
func (s *session) packageFiles(ctx context.Context, c *commit) ([]oci.PackageFiles, error) {
	tree := &rootfs.Tree{Root: filepath.Join(s.scratch(), "database"), Run: s.run}
	defer os.RemoveAll(tree.Root)
	database := filepath.Join(tree.Root, rootfs.DBPath)
	if err := os.MkdirAll(filepath.Dir(database), 0o755); err != nil {
		return nil, err
	}
	if err := s.repo.CheckoutPath(ctx, c.Checksum, rootfs.DBPath, database); err != nil {
		return nil, err
	}
	packages, err := tree.Packages(ctx)
	if err != nil {
		return nil, err
	}
	owned, err := tree.Files(ctx)
	if err != nil {
		return nil, err
	}
	return byPackage(packages, owned), nil
}

func byPackage(packages []rootfs.Installed, owned []rootfs.Owned) []oci.PackageFiles {
	byName := map[string]*oci.PackageFiles{}
	list := make([]oci.PackageFiles, len(packages))
	for i, p := range packages {
		list[i] = oci.PackageFiles{Name: p.Name, Source: p.SourceRPM}
		byName[p.Name] = &list[i]
	}
	for _, f := range owned {
		if p, ok := byName[f.Package]; ok {
			p.Paths = append(p.Paths, f.Path)
		}
	}
	return list
}
