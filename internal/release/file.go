package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/compression"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/streammeta"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// file is one file of the release, before it is split.
type file struct {
	digest
	name     string // of the asset
	path     string // on this machine
	rel      string // below builds/ID; "" for what the release adds
	arch     string // rpm name; "" for what is about all
	artifact string // key in meta.json; "" for what is no image
	image    workdir.Image
	sigName  string // asset with its signature, "" if there is none
}

// listed is the file as assets.json lists it.
func (f *file) listed(l limits) streammeta.Asset {
	a := streammeta.Asset{
		Name: f.name, Path: f.rel, Arch: f.arch, Artifact: f.artifact, Size: f.size, SHA256: f.sha256, Signature: f.sigName,
		UncompressedSHA256: f.image.UncompressedSHA256, UncompressedSize: f.image.UncompressedSize,
	}
	if len(f.parts) > 0 {
		for _, s := range sections(f.name, f.path, "", f.digest, l) {
			a.Parts = append(a.Parts, streammeta.Part{Name: s.Name, Size: s.Size, SHA256: s.SHA256})
		}
	}
	return a
}

// images verifies all images of the builds and compresses those that shall be.
// All that is wrong is reported together.
func (c *collector) images(ctx context.Context) error {
	var found faults
	var plain, packed []*file
	for _, s := range c.sources {
		for _, name := range slices.Sorted(maps.Keys(s.meta.Images)) {
			f, err := c.image(s, name)
			if err != nil {
				found.add(err)
				continue
			}
			c.files = append(c.files, f)
			if c.compressible(name, f.image) {
				packed = append(packed, f)
			} else {
				plain = append(plain, f)
			}
		}
	}
	if len(found.list.Findings) > 0 {
		return found.err() // before hours go into sums
	}
	if err := c.sum(ctx, plain, &found); err != nil {
		return err
	}
	for _, f := range packed {
		// One after the other: each takes all cores.
		if len(found.list.Findings) > 0 {
			break
		}
		if err := c.compress(ctx, f); err != nil && !found.add(err) {
			return err
		}
	}
	if err := found.err(); err != nil {
		return err
	}
	for _, f := range c.files {
		c.source(f.arch).meta.SetImage(f.artifact, f.image)
	}
	return nil
}

// image checks what can be known of an image without reading it.
func (c *collector) image(s *source, name string) (*file, error) {
	image := s.meta.Images[name]
	if image.Path == "" || filepath.Base(image.Path) != image.Path || image.Path == ".." {
		return nil, refuse("build %s for %s: image %s has the path %q", "restore meta.json; images lie beside it", c.id, s.arch, name, image.Path)
	}
	path := s.path(image.Path)
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, refuse("build %s for %s: image %s is in meta.json, but its file %s is not here",
			"add the artifact of the job that made it, or make it again", c.id, s.arch, name, image.Path)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, refuse("build %s for %s: image %s: %s is no regular file", "put the image itself there", c.id, s.arch, name, image.Path)
	case image.Size != 0 && image.Size != info.Size():
		return nil, refuse("build %s for %s: image %s has %d bytes, and meta.json says %d",
			mendDigest, c.id, s.arch, name, info.Size(), image.Size)
	}
	return &file{path: path, rel: s.arch + "/" + image.Path, arch: s.arch, artifact: name, image: image}, nil
}

const mendDigest = "the file was changed or cut after it was made; fetch or make it again"

func (c *collector) mismatch(f *file, got string) error {
	return refuse("build %s for %s: image %s has the sha256 %s, and meta.json says %s",
		mendDigest, c.id, f.arch, f.artifact, got, f.image.SHA256)
}

// compressible tells whether the release compresses an image: it is not already,
// and nobody exempted it.
func (c *collector) compressible(name string, image workdir.Image) bool {
	_, already := compression.ByPath(image.Path)
	kind, err := workdir.FindImageKind(name)
	exempt := image.SkipCompression || err == nil && kind.SkipCompression
	return c.format != "" && image.UncompressedSHA256 == "" && !already && !exempt
}

// sum verifies images that go out as they are, several at a time.
func (c *collector) sum(ctx context.Context, files []*file, found *faults) error {
	step := c.Log.Step("verify %d images", len(files))
	defer step.Stop()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, f := range files {
		group.Go(func() error {
			d, err := sumFile(f.path, c.limits, guard(ctx))
			if err != nil {
				return err
			}
			if d.sha256 != f.image.SHA256 {
				found.add(c.mismatch(f, d.sha256))
			}
			f.digest, f.name = d, f.image.Path
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	step.Done("%s", bytesOf(files))
	return nil
}

// compress verifies an image and compresses it into the release's directory,
// reading it once.
func (c *collector) compress(ctx context.Context, f *file) error {
	step := c.Log.Step("compress %s for %s with %s", f.artifact, f.arch, c.format)
	defer step.Stop()
	in, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer in.Close()
	name := f.image.Path + c.format.Extension()
	path := c.made(clean(f.arch + "." + f.artifact + c.format.Extension()))
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer out.Close()
	before, after := newSummer(c.limits), newSummer(c.limits)
	err = c.format.Compress(ctx, c.Runner, io.MultiWriter(out, after), io.TeeReader(guard(ctx)(in), before), false)
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		return fmt.Errorf("compress %s for %s: %w", f.artifact, f.arch, err)
	}
	was := before.digest()
	if was.sha256 != f.image.SHA256 {
		return c.mismatch(f, was.sha256)
	}
	f.digest, f.path, f.name, f.rel = after.digest(), path, name, f.arch+"/"+name
	f.image = workdir.Image{
		Path: name, SHA256: f.sha256, Size: f.size, UncompressedSHA256: was.sha256, UncompressedSize: was.size,
	}
	step.Done("%s of %s", size(f.size), size(was.size))
	return nil
}

// faults are findings that several goroutines make.
type faults struct {
	mu   sync.Mutex
	list diag.List
}

// add takes the findings of an error; false tells that it has none.
func (f *faults) add(err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	findings := diag.Findings(err)
	if len(findings) == 0 {
		f.list.Add(diag.Finding{Message: err.Error()})
		return false
	}
	f.list.Findings = append(f.list.Findings, findings...)
	return true
}

func (f *faults) err() error { return f.list.Err() }

// guard makes readers that end when ctx does; images are large.
func guard(ctx context.Context) func(io.Reader) io.Reader {
	return func(r io.Reader) io.Reader { return guarded{ctx, r} }
}

type guarded struct {
	ctx context.Context
	r   io.Reader
}

func (g guarded) Read(p []byte) (int, error) {
	if g.ctx.Err() != nil {
		return 0, context.Cause(g.ctx)
	}
	return g.r.Read(p)
}

func bytesOf(files []*file) string {
	var n int64
	for _, f := range files {
		n += f.size
	}
	return size(n)
}
