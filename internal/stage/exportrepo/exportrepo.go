// Package exportrepo is the stage that gives a build's commit to plain ostree
// clients: as a repository in archive mode, with a static delta from the build
// before, that any web server can hand out.
package exportrepo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nestos/nosa-actions/internal/image/oci"
	"github.com/nestos/nosa-actions/internal/ostree"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// NoDelta as DeltaFrom makes no delta.
const NoDelta = "none"

// Options say what goes where.
type Options struct {
	Build string // id; empty: the newest
	// Dir is the repository, which is made or brought up to date with all
	// architectures of the build that lie here. Empty: a new one for this
	// architecture, as a tar file beside the build's images.
	Dir string
	// DeltaFrom is the build that clients have; empty: what the repository's ref
	// names, else the build before this one; NoDelta: none.
	DeltaFrom string
	// Prune removes commits that no ref of the repository names any more.
	Prune bool
}

// Result says what was made.
type Result struct {
	Path    string   // of the directory or file
	Commits []Commit // what its refs name now
}

// Commit is one architecture's.
type Commit struct {
	Ref, Checksum string
	DeltaFrom     string // checksum; empty: there is no delta
}

// session is one run.
type session struct {
	run  tool.Runner
	log  *progress.Log
	dir  *workdir.Dir
	opt  Options
	repo *ostree.Repo
	when time.Time // what the repository says of its own making; zero: what libostree says
}

// Run exports the build. A repository that is being served stays whole at every
// moment: content comes first, the refs later, the summary last. A tar file
// appears when it is complete; it holds the repository in a directory "repo", and the
// same builds give the same bytes.
func Run(ctx context.Context, r tool.Runner, log *progress.Log, dir *workdir.Dir, o Options) (Result, error) {
	s := &session{run: r, log: log, dir: dir, opt: o}
	build, err := dir.Build(o.Build)
	if o.Dir != "" {
		builds, err := dir.Arches(o.Build)
		if err != nil {
			return Result{}, err
		}
		return s.export(ctx, builds, o.Dir)
	}
	if err != nil {
		return Result{}, err
	}
	scratch, err := dir.BeginBuild("repo")
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(scratch)
	s.opt.Prune = true // what the delta begins with was needed only to make it
	if s.when, err = committed(build); err != nil {
		return Result{}, err
	}
	result, err := s.export(ctx, []workdir.Build{build}, filepath.Join(scratch, "repo"))
	if err != nil {
		return Result{}, err
	}
	if result.Path, err = archivePath(build); err != nil {
		return Result{}, err
	}
	return result, writeTar(result.Path, filepath.Join(scratch, "repo"))
}

// archivePath is where the tar file of a build lies.
func archivePath(b workdir.Build) (string, error) {
	meta, err := b.Meta()
	if err != nil {
		return "", err
	}
	return b.Path(workdir.RepoArchiveName(meta.Name, b.ID, b.Arch.RPM)), nil
}

func (s *session) export(ctx context.Context, builds []workdir.Build, path string) (_ Result, err error) {
	if s.repo, err = ostree.OpenServed(ctx, s.run, path); err != nil {
		return Result{}, err
	}
	result := Result{Path: path}
	for _, b := range builds {
		c, err := s.add(ctx, b)
		if err != nil {
			return Result{}, fmt.Errorf("export build %s for %s: %w", b.ID, b.Arch.RPM, err)
		}
		result.Commits = append(result.Commits, c)
	}
	if s.opt.Prune {
		if err := s.repo.Prune(ctx, 0); err != nil {
			return Result{}, err
		}
	}
	if s.when.IsZero() {
		return result, s.repo.UpdateSummary(ctx)
	}
	if err := s.repo.DateDeltas(s.when); err != nil {
		return Result{}, err
	}
	if err := s.repo.UpdateSummary(ctx); err != nil {
		return Result{}, err
	}
	return result, s.repo.DateSummary(s.when)
}

// committed is the time of a build's commit.
func committed(b workdir.Build) (time.Time, error) {
	meta, err := b.Meta()
	if err != nil {
		return time.Time{}, err
	}
	when, err := time.Parse(time.RFC3339, meta.OSTreeTimestamp)
	if err != nil {
		return time.Time{}, fmt.Errorf("build %s: ostree-timestamp: %w", b.ID, err)
	}
	return when, nil
}

// add brings in one commit, with the delta, and lets the ref name it.
func (s *session) add(ctx context.Context, b workdir.Build) (Commit, error) {
	meta, err := b.Meta()
	if err != nil {
		return Commit{}, err
	}
	if meta.Ref == "" {
		return Commit{}, errors.New("the commit has no ref for clients to follow; give the manifest one, such as ref: NAME/${basearch}/STREAM")
	}
	c := Commit{Ref: meta.Ref, Checksum: meta.OSTreeCommit}
	if c.DeltaFrom, err = s.origin(ctx, b, meta); err != nil {
		return c, err
	}
	if err := s.bring(ctx, b, meta); err != nil {
		return c, err
	}
	if c.DeltaFrom != "" {
		step := s.log.Step("make the delta from %.12s", c.DeltaFrom)
		defer step.Stop()
		if err := s.repo.Delta(ctx, c.DeltaFrom, c.Checksum); err != nil {
			return c, err
		}
		step.Done("")
	}
	return c, s.repo.SetRef(c.Ref, c.Checksum)
}

// bring imports a build's commit from its archive, unless it is here.
func (s *session) bring(ctx context.Context, b workdir.Build, meta *workdir.Meta) error {
	if s.repo.IsWhole(meta.OSTreeCommit) {
		return nil
	}
	_, archive, err := b.Image("ostree")
	if err != nil {
		return err
	}
	step := s.log.Step("import the commit of build %s", b.ID)
	defer step.Stop()
	commit, err := oci.Import(ctx, s.run, archive, s.repo.Path)
	if err != nil {
		return err
	}
	if commit != meta.OSTreeCommit {
		return fmt.Errorf("%s holds the commit %s, but meta.json says %s", archive, commit, meta.OSTreeCommit)
	}
	step.Done("")
	return nil
}

// origin is the commit that the delta begins with, which is then in the
// repository; "" for no delta.
func (s *session) origin(ctx context.Context, b workdir.Build, meta *workdir.Meta) (string, error) {
	if s.opt.DeltaFrom == NoDelta {
		return "", nil
	}
	if s.opt.DeltaFrom == "" {
		named, err := s.repo.Resolve(ctx, meta.Ref)
		if err != nil {
			return "", err
		}
		if s.repo.IsWhole(named) {
			return otherThan(meta.OSTreeCommit, named), nil
		}
	}
	from, fromMeta, err := s.before(b, meta)
	if err != nil || fromMeta == nil || fromMeta.OSTreeCommit == meta.OSTreeCommit {
		return "", err
	}
	return fromMeta.OSTreeCommit, s.bring(ctx, from, fromMeta)
}

func otherThan(commit, from string) string {
	if commit == from {
		return ""
	}
	return from
}

// before finds the build that DeltaFrom names, or else the newest before b with
// the same ref whose archive lies here; nil if there is none.
func (s *session) before(b workdir.Build, meta *workdir.Meta) (workdir.Build, *workdir.Meta, error) {
	dir := *s.dir
	dir.Arch = b.Arch
	if s.opt.DeltaFrom != "" {
		from, err := dir.Build(s.opt.DeltaFrom)
		if err != nil {
			return from, nil, err
		}
		fromMeta, err := from.Meta()
		return from, fromMeta, err
	}
	index, err := dir.Index()
	if err != nil {
		return b, nil, err
	}
	at := slices.IndexFunc(index.Builds, func(e workdir.Entry) bool { return e.ID == b.ID })
	for _, e := range index.Builds[at+1:] {
		from, err := dir.Build(e.ID)
		if errors.Is(err, workdir.ErrNoBuild) {
			continue
		}
		if err != nil {
			return b, nil, err
		}
		fromMeta, err := from.Meta()
		if err != nil {
			return b, nil, err
		}
		_, archive, err := from.Image("ostree")
		if err != nil || fromMeta.Ref != meta.Ref {
			continue
		}
		if _, err := os.Stat(archive); err == nil {
			return from, fromMeta, nil
		}
	}
	return b, nil, nil
}
