package buildextend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/image/disk"
	"github.com/nestos/nosa-actions/internal/image/live"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// payloads are the images that the live ISO can install: finished ones, and
// those that jobs of this run are making.
type payloads []func(context.Context) (live.Payload, error)

// payloads finds the metal images to go on board: metal must be there or under
// way, metal4k goes with it if it is.
func (s *session) payloads(disks []*job) (payloads, error) {
	if err := live.Check(s.liveConfig(), s.dir.Arch); err != nil {
		return nil, err
	}
	var all payloads
	for _, kind := range []image.Kind{image.Metal, image.Metal4k} {
		payload, err := s.payload(kind, disks)
		if err != nil {
			return nil, err
		}
		if payload != nil {
			all = append(all, payload)
		}
	}
	return all, nil
}

func (s *session) payload(kind image.Kind, disks []*job) (func(context.Context) (live.Payload, error), error) {
	for _, job := range disks {
		if job.kind == kind {
			return job.payload, nil
		}
	}
	record, path, err := s.build.Image(string(kind))
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return nil, err
	}
	if missing || record.UncompressedSHA256 != "" {
		if kind != image.Metal {
			return nil, nil
		}
		return nil, fmt.Errorf("the live ISO carries the uncompressed metal image, which build %s does not have; "+
			"run nosa buildextend metal live, or nosa uncompress", s.build.ID)
	}
	return func(context.Context) (live.Payload, error) { return payloadOf(kind, path, record), nil }, nil
}

// payload waits for the image of the job.
func (j *job) payload(ctx context.Context) (live.Payload, error) {
	select {
	case <-j.done:
		return payloadOf(j.kind, j.result.Path, j.result.Image), nil
	case <-ctx.Done():
		return live.Payload{}, context.Cause(ctx)
	}
}

func payloadOf(kind image.Kind, path string, record workdir.Image) live.Payload {
	return live.Payload{Kind: kind, Path: path, SHA256: record.SHA256, Size: record.Size}
}

// wait waits for all of them.
func (p payloads) wait(ctx context.Context) ([]live.Payload, error) {
	var all []live.Payload
	for _, wait := range p {
		payload, err := wait(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, payload)
	}
	return all, nil
}

func (s *session) liveConfig() string { return filepath.Join(s.dir.Config(), "live") }

// live makes the live artifacts, which enter the build together.
func (s *session) live(ctx context.Context, job *job, sysroot *disk.Sysroot, p payloads, tmp string) error {
	made, err := live.Write(ctx, s.run, s.log, live.Input{
		Sysroot: sysroot, Payloads: p.wait, ConfigDir: s.liveConfig(), Fast: s.opt.Fast,
		Scratch: filepath.Join(tmp, "live"), OutputDir: tmp,
	})
	if err != nil {
		return fmt.Errorf("make the live images: %w", err)
	}
	step := s.log.Step("checksum the live images")
	defer step.Stop()
	records := make(map[string]*workdir.Image, len(made))
	var group errgroup.Group
	for artifact, path := range made {
		record := new(workdir.Image)
		records[artifact] = record
		group.Go(func() (err error) {
			*record, err = s.publish(path)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for artifact, record := range records {
		record.Size, record.SkipCompression = 0, true // as readers of the metadata know them
		job.meta.SetImage(artifact, *record)
	}
	if err := s.enter(job, *records[live.ISO]); err != nil {
		return err
	}
	step.Done("%s", records[live.ISO].SHA256)
	return nil
}
