// Package buildextend is the stage that makes images of a build.
package buildextend

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/image/disk"
	"github.com/nestos/nosa-actions/internal/image/live"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// Options say which images of which build.
type Options struct {
	Build string // id; empty: the newest
	Kinds []image.Kind
	Force bool // make them anew even if the build has them
	Fast  bool // live images: larger, and made in less time

	Fixture bool // live images that do not boot, for tests of installers
}

// Result says where an image is; for live images, where the ISO is.
type Result struct {
	Kind  image.Kind
	Path  string
	Image workdir.Image
	Made  bool // false: it was there already
}

// imageJSON is where the composer put the image configuration into the tree.
const imageJSON = "/usr/share/coreos-assembler/image.json"

// session is one run.
type session struct {
	run   tool.Runner
	log   *progress.Log
	dir   *workdir.Dir
	build workdir.Build
	opt   Options
}

// Run makes images that the build does not have yet: those that need a
// deployment from one deployment and side by side, then those that are derived
// from them. The live images, which carry the metal image, take the one that is
// made beside them, or else the one that the build has. Each enters the metadata of the build on its own, so what is
// finished stays when another fails. Only then, and whole, does a file appear in
// the build's directory. The results are in the order of the kinds.
func Run(ctx context.Context, r tool.Runner, log *progress.Log, dir *workdir.Dir, o Options) ([]Result, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("making a disk image needs root: files have many owners; run nosa with sudo")
	}
	build, err := dir.Build(o.Build)
	if err != nil {
		return nil, err
	}
	s := &session{run: r, log: log, dir: dir, build: build, opt: o}
	results := make([]Result, len(o.Kinds))
	var deployed, derived []*job
	var live *job
	for i, kind := range o.Kinds {
		job, err := s.begin(kind, &results[i])
		if err != nil {
			return nil, err
		}
		defer job.release()
		switch {
		case results[i].Path != "":
		case kind == image.Live:
			live = job
		case kind.Traits().Derived:
			derived = append(derived, job)
		default:
			deployed = append(deployed, job)
		}
	}
	if err := s.deploy(ctx, deployed, live); err != nil {
		return results, err
	}
	for _, job := range derived {
		if err := s.derive(ctx, job); err != nil {
			return results, err
		}
	}
	return results, nil
}

// job is one kind of image that is being made.
type job struct {
	kind    image.Kind
	meta    *workdir.Meta
	tmp     string // directory of its own
	release func()
	result  *Result
	done    chan struct{} // closed when the image is in the build
}

// artifact is the key by which the metadata tells whether a kind was made.
func artifact(kind image.Kind) string {
	if kind == image.Live {
		return live.ISO
	}
	return string(kind)
}

// begin claims an image and looks whether it is there already. A run that was
// killed may have left its work, even after the image was finished: it goes.
func (s *session) begin(kind image.Kind, result *Result) (*job, error) {
	release, err := s.build.Claim(string(kind))
	if err != nil {
		return nil, err
	}
	tmp, err := s.dir.BeginBuild(string(kind))
	if err != nil {
		release()
		return nil, err
	}
	end := func() {
		os.RemoveAll(tmp)
		release()
	}
	meta, err := s.build.ArtifactMeta(string(kind))
	if err != nil {
		end()
		return nil, err
	}
	result.Kind = kind
	if made, ok := meta.Images[artifact(kind)]; ok && !s.opt.Force {
		s.log.Notef("%s image of build %s exists: %s", kind, s.build.ID, made.Path)
		result.Path, result.Image = s.build.Path(made.Path), made
	}
	return &job{kind: kind, meta: meta, tmp: tmp, release: end, result: result, done: make(chan struct{})}, nil
}

// finish moves an image into the build and enters it there. Its checksum is begun.
func (s *session) finish(job *job, output string, begun disk.Begun) error {
	step := s.log.Step("checksum the %s image", job.kind)
	defer step.Stop()
	record, err := s.describe(output, begun)
	if err != nil {
		return err
	}
	if err := s.move(output); err != nil {
		return err
	}
	job.meta.SetImage(string(job.kind), record)
	if err := s.enter(job, record); err != nil {
		return err
	}
	step.Done("%s", record.SHA256)
	return nil
}

// describe reads what is left of a finished file for its checksum, while it goes to
// the disk.
func (s *session) describe(output string, begun disk.Begun) (record workdir.Image, err error) {
	var group errgroup.Group
	if !s.dir.Transient() {
		group.Go(func() error { return atomicfile.Flush(output) })
	}
	group.Go(func() (err error) {
		if begun.SHA256 == nil {
			record, err = workdir.DescribeImage(output)
			return err
		}
		record, err = workdir.DescribeRest(output, begun.SHA256, begun.Bytes)
		return err
	})
	return record, group.Wait()
}

// move puts a finished file into the build, where nobody changes it.
func (s *session) move(output string) error {
	if err := os.Chmod(output, 0o444); err != nil {
		return err
	}
	place := s.build.Path(filepath.Base(output))
	if s.dir.Transient() {
		return os.Rename(output, place)
	}
	return atomicfile.Move(output, place)
}

// enter puts what a job made into the build's metadata; main is the image that
// people ask for.
func (s *session) enter(job *job, main workdir.Image) error {
	if err := s.build.Merge(string(job.kind), job.meta); err != nil {
		return fmt.Errorf("enter the %s image into the metadata: %w", job.kind, err)
	}
	*job.result = Result{Kind: job.kind, Path: s.build.Path(main.Path), Image: main, Made: true}
	close(job.done)
	return nil
}
