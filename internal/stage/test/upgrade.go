package test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/image/oci"
	"github.com/nestos/nosa-actions/internal/kola"
	"github.com/nestos/nosa-actions/internal/ostree"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// UpgradeOptions choose the two builds.
type UpgradeOptions struct {
	Options        // Build is the new one; Image, if given, that of the old one
	Parent  string // id of the old build; empty: the newest before the new one that can be started
	Cuts    int    // power cuts in the middle of the update
	Seed    uint64 // of their moments
}

// RunUpgrade starts the old build and updates it to the new one, over HTTP from
// a repository made of the new build's OCI archive.
func RunUpgrade(ctx context.Context, r tool.Runner, log *progress.Log, dir *workdir.Dir, o UpgradeOptions) (Result, error) {
	o.Options = o.defaults()
	if dir == nil {
		return Result{}, errors.New("not in a work directory: an update needs the builds that it is between")
	}
	build, err := dir.Build(o.Build)
	if err != nil {
		return Result{}, err
	}
	to, err := release(build)
	if err != nil {
		return Result{}, err
	}
	from, err := o.parent(dir, build, to)
	if err != nil {
		return Result{}, err
	}
	out, err := o.outputDir(dir)
	if err != nil {
		return Result{}, err
	}
	if o.OutputDir == "" {
		out += "-upgrade"
	}
	if err := kola.PrepareOutput(out); err != nil {
		return Result{}, err
	}
	repo := filepath.Join(out, ".repo")
	defer os.RemoveAll(repo) //nolint:errcheck // the next run clears it
	if err := serveable(ctx, r, log, repo, to, from); err != nil {
		return Result{}, err
	}
	test := kola.Upgrade{
		Repo: repo, Ref: to.ref, To: to.commit, From: from.commit, Cuts: o.Cuts, Seed: o.Seed, Runner: r, Log: log,
	}
	report, err := kola.Run(ctx, r, log, kola.Options{
		Tests: []kola.Selected{{Case: test.Case()}},
		Arch:  dir.Arch, Image: from.image, Firmware: o.Firmware, MemoryMiB: o.MemoryMiB, DiskGiB: o.DiskGiB,
		Expect: kola.Expect{Commit: from.commit, Platform: o.Platform}, OutputDir: out,
		Parallel: o.Parallel, ExtendPercent: o.ExtendPercent, Terminal: o.Terminal,
	})
	if err != nil {
		return Result{}, err
	}
	result := Result{Report: report, OutputDir: out}
	return result, o.save(result, target{arch: dir.Arch, image: from.image, build: build.ID, commit: to.commit})
}

// version is one side of an update.
type version struct {
	build   string // id; empty for a bare image
	commit  string
	ref     string
	archive string // OCI archive; may be empty for the old side
	image   string
}

// release describes a build. Its archive and image may be missing.
func release(b workdir.Build) (version, error) {
	meta, err := b.Meta()
	if err != nil {
		return version{}, err
	}
	v := version{build: b.ID, commit: meta.OSTreeCommit, ref: meta.Ref}
	if v.ref == "" {
		v.ref = "nosa/" + b.ID
	}
	for artifact, path := range map[string]*string{"ostree": &v.archive, "qemu": &v.image} {
		if _, found, err := b.Image(artifact); err == nil {
			*path = found
		} else if !errors.Is(err, fs.ErrNotExist) {
			return v, err
		}
	}
	return v, nil
}

// parent finds what is updated: the build that is asked for, or the newest
// before the new one that has an image and another commit. An image of one's own
// takes its place.
func (o UpgradeOptions) parent(dir *workdir.Dir, build workdir.Build, to version) (version, error) {
	if o.Image != "" && o.Parent == "" {
		_, err := os.Stat(o.Image)
		return version{image: o.Image}, err
	}
	if o.Parent != "" {
		b, err := dir.Build(o.Parent)
		if err != nil {
			return version{}, err
		}
		from, err := release(b)
		if o.Image != "" {
			from.image = o.Image
		}
		if err == nil && from.image == "" {
			err = fmt.Errorf("build %s has no qemu image to start from", b.ID)
		}
		return from, err
	}
	index, err := dir.Index()
	if err != nil {
		return version{}, err
	}
	older := false
	for _, entry := range index.Builds { // newest first
		if entry.ID == build.ID {
			older = true
			continue
		}
		if !older {
			continue
		}
		b, err := dir.Build(entry.ID)
		if err != nil {
			continue // of another architecture, or not here
		}
		if from, err := release(b); err == nil && from.image != "" && from.commit != to.commit {
			return from, nil
		}
	}
	return version{}, fmt.Errorf("no build before %s has a qemu image and another commit; name one by --parent-build, or an image by --qemu-image", build.ID)
}

// serveable makes a repository of both commits, whose ref names the new one.
func serveable(ctx context.Context, r tool.Runner, log *progress.Log, path string, to, from version) error {
	if to.archive == "" {
		return fmt.Errorf("build %s has no OCI archive to update to", to.build)
	}
	repo, err := ostree.OpenServed(ctx, r, path)
	if err != nil {
		return err
	}
	for _, v := range []version{to, from} {
		if v.archive == "" {
			continue
		}
		step := log.Step("import the commit of build %s", v.build)
		commit, err := oci.Import(ctx, r, v.archive, path)
		if err == nil && commit != v.commit {
			err = fmt.Errorf("%s holds the commit %s, but meta.json says %s", v.archive, commit, v.commit)
		}
		if err != nil {
			step.Stop()
			return err
		}
		step.Done("")
	}
	if err := repo.SetRef(to.ref, to.commit); err != nil {
		return err
	}
	return repo.UpdateSummary(ctx)
}
