package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/tools/rpmpool/apt"
	"github.com/nestos/nosa-actions/tools/rpmpool/convert"
	"github.com/nestos/nosa-actions/tools/rpmpool/deb"
	"github.com/nestos/nosa-actions/tools/rpmpool/own"
)

// options say what to build and where.
type options struct {
	Output   string   // the repository
	Cache    string   // keeps downloaded and converted packages
	Packages []string // apt's words
	Jobs     int      // conversions at a time
}

// result counts what a run did.
type result struct {
	Packages, Converted, Cached int
	Bytes                       int64
}

// builder holds what the steps of one run share.
type builder struct {
	options
	runner tool.Runner
	log    *progress.Log
}

// build makes the repository anew, or leaves it alone if nothing changed.
func build(ctx context.Context, r tool.Runner, log *progress.Log, o options) (result, error) {
	if err := tool.Need("apt-get", "xz", "createrepo_c"); err != nil {
		return result{}, err
	}
	b := builder{options: o, runner: r, log: log}
	debs, err := b.fetch(ctx)
	if err != nil {
		return result{}, err
	}
	packages, err := b.read(ctx, debs)
	if err != nil {
		return result{}, err
	}
	rpms, res, err := b.convert(ctx, packages)
	if err != nil {
		return result{}, err
	}
	if err := b.publish(ctx, rpms); err != nil {
		return result{}, fmt.Errorf("make repository %s: %w", o.Output, err)
	}
	for _, rpm := range rpms {
		info, err := os.Stat(rpm.path)
		if err != nil {
			return result{}, err
		}
		res.Bytes += info.Size()
	}
	res.Packages = len(rpms)
	return res, nil
}

func (b builder) fetch(ctx context.Context) ([]string, error) {
	step := b.log.Step("resolve and download Debian packages")
	defer step.Stop()
	paths, err := apt.Download(ctx, b.runner, apt.Options{Packages: b.Packages, Cache: b.Cache})
	if err != nil {
		return nil, err
	}
	step.Done("%d packages", len(paths))
	return paths, nil
}

// read opens all packages: their relations decide about each other's.
func (b builder) read(ctx context.Context, paths []string) ([]*deb.Package, error) {
	step := b.log.Step("read package headers")
	defer step.Stop()
	packages := make([]*deb.Package, len(paths))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(b.Jobs)
	for i, path := range paths {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			p, err := deb.Open(path)
			packages[i] = p
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	step.Done("")
	return packages, nil
}

// rpm is a finished package in the cache and the name it gets in the repository.
type rpm struct {
	name, path string
}

func (b builder) convert(ctx context.Context, packages []*deb.Package) ([]rpm, result, error) {
	step := b.log.Step("convert to RPM")
	defer step.Stop()
	dir := filepath.Join(b.Cache, "rpms")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, result{}, err
	}
	ours, err := own.Packages()
	if err != nil {
		return nil, result{}, err
	}
	index := convert.NewIndex(packages, base(ours))
	rpms := make([]rpm, len(packages)+len(ours))
	var converted atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(b.Jobs)
	for i, p := range bySize(packages) {
		group.Go(func() error {
			made, fresh, err := b.convertOne(ctx, dir, p, index)
			if err != nil {
				return fmt.Errorf("convert %s: %w", filepath.Base(p.Path), err)
			}
			if fresh {
				converted.Add(1)
			}
			rpms[i] = made
			return nil
		})
	}
	for i, in := range ours {
		group.Go(func() error {
			made, err := store(dir, in)
			rpms[len(packages)+i] = made
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, result{}, err
	}
	res := result{Converted: int(converted.Load())}
	res.Cached = len(packages) - res.Converted
	step.Done("%d converted, %d from the cache, %d of our own", res.Converted, res.Cached, len(ours))
	return rpms, res, nil
}

// base gives the files of the file system package.
func base(ours []convert.Input) []deb.File {
	for _, in := range ours {
		if in.Name == convert.Filesystem {
			return in.Files
		}
	}
	return nil
}

// bySize puts the largest packages first, so that none of them comes last and
// runs alone.
func bySize(packages []*deb.Package) []*deb.Package {
	size := map[*deb.Package]int64{}
	for _, p := range packages {
		if info, err := os.Stat(p.Path); err == nil {
			size[p] = info.Size()
		}
	}
	return slices.SortedStableFunc(slices.Values(packages), func(a, b *deb.Package) int {
		return int(size[b] - size[a])
	})
}

// convertOne looks the package up in the cache by its digest, its relations,
// which depend on the pool, and the version of the conversion.
func (b builder) convertOne(ctx context.Context, dir string, p *deb.Package, index *convert.Index) (made rpm, fresh bool, err error) {
	relations, err := index.Relations(p.Control)
	if err != nil {
		return rpm{}, false, err
	}
	key, err := index.Key(p, relations)
	if err != nil {
		return rpm{}, false, err
	}
	made = rpm{
		name: index.FromDeb(p, relations, nil).FileName(),
		path: filepath.Join(dir, key+".rpm"),
	}
	if _, err := os.Stat(made.path); err == nil {
		return made, false, nil
	}
	files, err := p.Files(ctx, b.runner)
	if err != nil {
		return rpm{}, false, err
	}
	return made, true, atomicfile.WriteFrom(made.path, 0o644, index.FromDeb(p, relations, files).Write)
}

// store writes a package of our own under the digest of its content.
func store(dir string, in convert.Input) (rpm, error) {
	sum := sha256.New()
	temp := filepath.Join(dir, in.Name+".own")
	err := atomicfile.WriteFrom(temp, 0o644, func(w io.Writer) error {
		return in.Write(io.MultiWriter(w, sum))
	})
	if err != nil {
		return rpm{}, fmt.Errorf("package %s: %w", in.Name, err)
	}
	final := filepath.Join(dir, hex.EncodeToString(sum.Sum(nil))+".rpm")
	return rpm{name: in.FileName(), path: final}, os.Rename(temp, final)
}
