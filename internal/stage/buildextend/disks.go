package buildextend

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/image/disk"
	"github.com/nestos/nosa-actions/internal/image/oci"
	"github.com/nestos/nosa-actions/internal/imageconf"
	"github.com/nestos/nosa-actions/internal/ostree"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// deploy makes images from one deployment, side by side. The live job may be nil.
func (s *session) deploy(ctx context.Context, disks []*job, live *job) error {
	all := slices.Clone(disks)
	var kinds []image.Kind
	for _, job := range disks {
		kinds = append(kinds, job.kind)
	}
	var payloads payloads
	if live != nil {
		var err error
		if payloads, err = s.payloads(disks); err != nil {
			return err
		}
		all = append(all, live)
		if !slices.Contains(kinds, image.Metal) { // whose boot directory the live system has
			kinds = append(kinds, image.Metal)
		}
	}
	if len(all) == 0 {
		return nil
	}
	source, err := s.source(ctx, all[0].meta)
	if err != nil {
		return err
	}
	source.Scratch = filepath.Join(all[0].tmp, "scratch")
	sysroot, err := disk.Deploy(ctx, s.run, s.log, source, kinds...)
	if err != nil {
		return fmt.Errorf("make images (%s): %w", kinds, err)
	}
	group, each := errgroup.WithContext(ctx)
	var using sync.WaitGroup
	using.Add(len(all))
	for _, job := range disks {
		group.Go(func() error {
			output := filepath.Join(job.tmp, s.fileName(job))
			begun, err := sysroot.Write(each, s.log, job.kind, output)
			using.Done()
			if err != nil {
				return fmt.Errorf("make the %s image: %w", job.kind, err)
			}
			return s.finish(job, output, begun)
		})
	}
	if live != nil {
		group.Go(func() error { return s.live(each, live, sysroot, payloads, using.Done) })
	}
	group.Go(func() error { // beside the checksums
		using.Wait()
		return sysroot.Close()
	})
	return group.Wait()
}

// source is what all images of the build are made from.
func (s *session) source(ctx context.Context, meta *workdir.Meta) (disk.Source, error) {
	platforms, err := imageconf.LoadPlatforms(filepath.Join(s.dir.Config(), "platforms.yaml"))
	if err != nil {
		return disk.Source{}, err
	}
	repo, err := s.commitRepo(ctx, meta)
	if err != nil {
		return disk.Source{}, err
	}
	config, err := configOf(ctx, repo, meta.OSTreeCommit)
	if err != nil {
		return disk.Source{}, err
	}
	return disk.Source{
		Repo: repo.Path, Commit: meta.OSTreeCommit, Ref: meta.Ref, Stateroot: meta.Name, BuildID: s.build.ID,
		Config: config, Platforms: platforms, Arch: s.dir.Arch,
	}, nil
}

// derive makes an image from the QEMU image, which must be there.
func (s *session) derive(ctx context.Context, job *job) error {
	meta, err := s.build.View()
	if err != nil {
		return err
	}
	qemu, ok := meta.Images[string(image.QEMU)]
	if !ok || qemu.UncompressedSHA256 != "" {
		return fmt.Errorf("the %s image is derived from the uncompressed qemu image, which build %s does not have; "+
			"run nosa buildextend-qemu, or nosa uncompress", job.kind, s.build.ID)
	}
	output := filepath.Join(job.tmp, s.fileName(job))
	err = disk.Derive(ctx, s.run, s.log, disk.Derivation{
		Source: s.build.Path(qemu.Path), Kind: job.kind, Scratch: filepath.Join(job.tmp, "scratch"), Output: output,
	})
	if err != nil {
		return fmt.Errorf("make the %s image: %w", job.kind, err)
	}
	return s.finish(job, output, disk.Begun{})
}

func (s *session) fileName(job *job) string {
	return job.kind.FileName(job.meta.Name, s.build.ID, s.dir.Arch)
}

// commitRepo opens the work directory's repository and brings the build's commit
// into it if it is not there.
func (s *session) commitRepo(ctx context.Context, meta *workdir.Meta) (*ostree.Repo, error) {
	repo, err := ostree.OpenCache(ctx, s.run, filepath.Join(s.dir.Tmp(), "repo"), s.dir.Transient())
	if err != nil {
		return nil, err
	}
	return repo, oci.Restore(ctx, s.run, s.log, repo, oci.Archived{
		Build: s.build.ID, Commit: meta.OSTreeCommit, Archive: s.build.Path(meta.Images["ostree"].Path),
	})
}

// configOf reads the image configuration that the build was made with, not
// today's.
func configOf(ctx context.Context, repo *ostree.Repo, commit string) (*imageconf.Config, error) {
	text, err := repo.Cat(ctx, commit, imageJSON)
	if err != nil {
		return nil, fmt.Errorf("read %s of the commit: %w", imageJSON, err)
	}
	return imageconf.Parse(text)
}
