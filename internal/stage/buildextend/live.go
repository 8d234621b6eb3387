package buildextend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

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
	if s.opt.Fixture {
		return nil, nil
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

// live makes the live artifacts, which enter the build together. It calls done once
// it needs the deployment no more.
func (s *session) live(ctx context.Context, job *job, sysroot *disk.Sysroot, p payloads, done func()) error {
	done = sync.OnceFunc(done)
	defer done()
	var mutex sync.Mutex
	records := map[string]workdir.Image{}
	made, err := live.Write(ctx, s.run, s.log, live.Input{
		Sysroot: sysroot, Done: done, Payloads: p.wait, ConfigDir: s.liveConfig(), Fast: s.opt.Fast, Fixture: s.opt.Fixture,
		Scratch: filepath.Join(job.tmp, "live"), OutputDir: job.tmp,
		Made: func(artifact, path string) error {
			record, err := s.describe(path, disk.Begun{})
			record.Size, record.SkipCompression = 0, true // as readers of the metadata know them
			mutex.Lock()
			defer mutex.Unlock()
			records[artifact] = record
			return err
		},
	})
	if err != nil {
		return fmt.Errorf("make the live images: %w", err)
	}
	for artifact, path := range made {
		if err := s.move(path); err != nil {
			return err
		}
		job.meta.SetImage(artifact, records[artifact])
	}
	return s.enter(job, records[live.ISO])
}
