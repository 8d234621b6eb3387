package job

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/handoff"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// ReceiveBuild unpacks what build sent.
func (j *Job) ReceiveBuild(ctx context.Context) error {
	if !j.handoff {
		return nil
	}
	pack, err := j.pack(buildKind, "nosa-build-"+j.Arch.RPM)
	if err != nil {
		return err
	}
	return j.unpack(ctx, buildKind, pack)
}

// ReceiveImages unpacks all images that came, at least one, and merges what
// their stages recorded, so that the work directory becomes what it would be
// had all stages run here.
func (j *Job) ReceiveImages(ctx context.Context) error {
	if !j.handoff {
		return nil
	}
	packs, err := j.images()
	if err != nil {
		return err
	}
	for _, pack := range packs {
		if err := j.unpack(ctx, imageKind, pack); err != nil {
			return err
		}
	}
	b, err := j.Build()
	if err != nil {
		return err
	}
	if _, _, err := b.Finalize(false); err != nil {
		return fmt.Errorf("merge the records of the images: %w", err)
	}
	return b.Update(func(m *workdir.Meta) error {
		m.DelayedMetaMerge = new(false)
		return nil
	})
}

// images lists the packs with images, sorted.
func (j *Job) images() ([]string, error) {
	list, err := os.ReadDir(filepath.Join(j.temp, incoming))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var packs []string
	for _, e := range list {
		if name, ok := strings.CutSuffix(e.Name(), "-"+j.Arch.RPM+packSuffix); ok && strings.HasPrefix(name, "nosa-image-") {
			packs = append(packs, filepath.Join(j.temp, incoming, e.Name()))
		}
	}
	if len(packs) == 0 {
		return nil, missing(imageKind, "nosa-image-PLATFORM-"+j.Arch.RPM)
	}
	slices.Sort(packs)
	return packs, nil
}

// pack is the path of the pack of an artifact that must have come.
func (j *Job) pack(kind, artifact string) (string, error) {
	pack := filepath.Join(j.temp, incoming, artifact+packSuffix)
	if _, err := os.Stat(pack); errors.Is(err, fs.ErrNotExist) {
		return "", missing(kind, artifact)
	}
	return pack, nil
}

func missing(kind, artifact string) error {
	return fmt.Errorf("artifact %s is not here; a job that this one needs must run %s", artifact, makers[kind])
}

func (j *Job) unpack(ctx context.Context, kind, pack string) error {
	j.received.step, j.received.dir, j.received.arch = j.Step, j.Workdir, j.Arch.RPM
	return j.received.add(ctx, kind, pack, j.revision)
}

// shelf puts the packs of other jobs together in one work directory.
type shelf struct {
	step    *action.Step
	dir     string
	arch    string
	parcels []parcel
	aside   *handoff.Base // content that packs may refer to beside that of others
}

// parcel is a pack that came.
type parcel struct {
	handoff.Receipt
	artifact, kind string
}

// String names a parcel and who made it.
func (p parcel) String() string {
	if job := p.Manifest.Labels[jobLabel]; job != "" {
		return fmt.Sprintf("%s, made by job %q,", p.artifact, job)
	}
	return p.artifact
}

// base is the parcel of a kind as what a pack may refer to, nil if none came.
func (s *shelf) base(kind string) *handoff.Base {
	for _, p := range s.parcels {
		if p.kind == kind {
			return p.Base("artifact "+p.artifact, s.dir)
		}
	}
	return nil
}

// add unpacks a pack that belongs to those before, of a config with the revision
// given, and removes it.
func (s *shelf) add(ctx context.Context, kind, pack, revision string) error {
	end := s.step.Group("unpack " + filepath.Base(pack))
	defer end()
	p := parcel{artifact: strings.TrimSuffix(filepath.Base(pack), packSuffix), kind: kind}
	var err error
	if p.Receipt, err = handoff.Inspect(ctx, pack); err != nil {
		return fmt.Errorf("unpack %w", err)
	}
	if err := s.belongs(p); err != nil {
		return err
	}
	_, err = handoff.UnpackFile(ctx, pack, s.dir, handoff.UnpackOptions{
		Kind: kind, Arch: s.arch, Labels: map[string]string{revisionLabel: revision}, Base: s.baseOf(p),
	})
	if err != nil {
		return s.explain(p, err)
	}
	s.parcels = append(s.parcels, p)
	s.step.Log("%d files, %.1f MB, all checksums verified, manifest sha256 %s",
		len(p.Manifest.Entries), float64(p.Manifest.Bytes())/1e6, p.Digest)
	// Unpacked, it only takes the room that a runner has little of.
	return os.Remove(pack)
}

// belongs refuses a parcel of another build, or config, than those before.
func (s *shelf) belongs(p parcel) error {
	for _, before := range s.parcels {
		for _, label := range []string{revisionLabel, buildLabel, commitLabel} {
			is, was := p.Manifest.Labels[label], before.Manifest.Labels[label]
			if is != "" && was != "" && is != was {
				return fmt.Errorf("%s is of %s %s, but %s is of %s; they are of different runs or attempts: run all jobs of the workflow again",
					p, label, is, before, was)
			}
		}
	}
	return nil
}

// baseOf finds what a thin pack refers to.
func (s *shelf) baseOf(p parcel) *handoff.Base {
	if p.Manifest.Base == nil {
		return nil
	}
	for _, before := range s.parcels {
		if before.Digest == p.Manifest.Base.SHA256 {
			return before.Base("artifact "+before.artifact, s.dir)
		}
	}
	return s.aside
}

// explain tells of which pack the content is that another one has otherwise.
func (s *shelf) explain(p parcel, err error) error {
	conflict, ok := errors.AsType[*handoff.ConflictError](err)
	if !ok {
		return err
	}
	for _, before := range s.parcels {
		for _, e := range before.Manifest.Entries {
			if slices.Contains(conflict.Paths, string(e.Path)) {
				return fmt.Errorf("%s has other content of %s than %s; they are of different runs or attempts: run all jobs of the workflow again",
					p, e.Path, before)
			}
		}
	}
	return err
}
