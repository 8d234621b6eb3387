// Package buildextend is the stage that makes disk images of a build.
package buildextend

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/image/disk"
	"github.com/nestos/nosa-actions/internal/image/oci"
	"github.com/nestos/nosa-actions/internal/imageconf"
	"github.com/nestos/nosa-actions/internal/ostree"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// Options say which image of which build.
type Options struct {
	Build string // id; empty: the newest
	Kind  image.Kind
	Force bool // make it anew even if the build has one
}

// Result says where the image is.
type Result struct {
	Build workdir.Build
	Path  string
	Image workdir.Image
	Made  bool // false: it was there already
}

// imageJSON is where the composer put the image configuration into the tree.
const imageJSON = "/usr/share/coreos-assembler/image.json"

// Run makes the image and enters it into the metadata of the build. Only then,
// and whole, does the file appear in the build's directory.
func Run(ctx context.Context, r tool.Runner, log *progress.Log, dir *workdir.Dir, o Options) (*Result, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("making a disk image needs root: files have many owners; run nosa with sudo")
	}
	build, err := dir.Build(o.Build)
	if err != nil {
		return nil, err
	}
	release, err := build.Claim(string(o.Kind))
	if err != nil {
		return nil, err
	}
	defer release()
	meta, err := build.ArtifactMeta(string(o.Kind))
	if err != nil {
		return nil, err
	}
	if made, ok := meta.Images[string(o.Kind)]; ok && !o.Force {
		log.Notef("%s image of build %s exists: %s", o.Kind, build.ID, made.Path)
		return &Result{Build: build, Path: build.Path(made.Path), Image: made}, nil
	}
	return write(ctx, r, log, dir, build, meta, o.Kind)
}

func write(ctx context.Context, r tool.Runner, log *progress.Log, dir *workdir.Dir,
	build workdir.Build, meta *workdir.Meta, kind image.Kind,
) (*Result, error) {
	platforms, err := imageconf.LoadPlatforms(filepath.Join(dir.Config(), "platforms.yaml"))
	if err != nil {
		return nil, err
	}
	tmp, err := dir.BeginBuild(string(kind))
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	repo, err := commitRepo(ctx, r, log, dir, build, meta)
	if err != nil {
		return nil, err
	}
	config, err := configOf(ctx, repo, meta.OSTreeCommit)
	if err != nil {
		return nil, err
	}
	name := kind.FileName(meta.Name, build.ID, dir.Arch)
	output := filepath.Join(tmp, name)
	err = disk.Write(ctx, r, log, disk.Input{
		Repo: repo.Path, Commit: meta.OSTreeCommit, Ref: meta.Ref, Stateroot: meta.Name, BuildID: build.ID,
		Config: config, Platforms: platforms, Kind: kind, Arch: dir.Arch,
		Scratch: filepath.Join(tmp, "scratch"), Output: output,
	})
	if err != nil {
		return nil, fmt.Errorf("make the %s image: %w", kind, err)
	}
	return finish(log, build, meta, kind, output)
}

// commitRepo opens the work directory's repository and brings the build's commit
// into it if it is not there.
func commitRepo(ctx context.Context, r tool.Runner, log *progress.Log, dir *workdir.Dir,
	build workdir.Build, meta *workdir.Meta,
) (*ostree.Repo, error) {
	repo, err := ostree.OpenCache(ctx, r, filepath.Join(dir.Tmp(), "repo"), dir.Transient())
	if err != nil {
		return nil, err
	}
	if repo.Has(meta.OSTreeCommit) && !repo.IsPartial(meta.OSTreeCommit) {
		return repo, nil
	}
	step := log.Step("import the commit of build %s", build.ID)
	defer step.Stop()
	if _, err := oci.Import(ctx, r, build.Path(meta.Images["ostree"].Path), repo.Path); err != nil {
		return nil, fmt.Errorf("import the commit of build %s: %w", build.ID, err)
	}
	step.Done("")
	return repo, repo.SetRef(ctx, build.ID, meta.OSTreeCommit)
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

// finish moves the image into the build and enters it there.
func finish(log *progress.Log, build workdir.Build, meta *workdir.Meta, kind image.Kind, output string) (*Result, error) {
	step := log.Step("checksum the %s image", kind)
	defer step.Stop()
	record, err := workdir.DescribeImage(output)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(output, 0o444); err != nil {
		return nil, err
	}
	path := build.Path(record.Path)
	if err := atomicfile.Move(output, path); err != nil {
		return nil, err
	}
	meta.SetImage(string(kind), record)
	if err := build.Merge(string(kind), meta); err != nil {
		return nil, fmt.Errorf("enter the %s image into the metadata: %w", kind, err)
	}
	step.Done("%s", record.SHA256)
	return &Result{Build: build, Path: path, Image: record, Made: true}, nil
}
