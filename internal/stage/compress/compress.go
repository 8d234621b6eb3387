// Package compress is the stage that compresses the images of a build, and that
// undoes it. An image is replaced in three steps, each of which may be the last
// of a process that dies: the new file is moved in beside the old one, the
// metadata is changed to it, the old one goes. The next run does what is left.
package compress

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/compression"
	"github.com/nestos/nosa-actions/internal/imageconf"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// Options says what to compress or uncompress.
type Options struct {
	Workdir *workdir.Dir
	Runner  tool.Runner
	Log     *progress.Log

	Build     string   // id; "" or "latest" is the newest build; all architectures that lie here
	Artifacts []string // by name; empty: all
	// Compressor is a compression.Format; "" is that of the config's image.yaml,
	// or gzip. Uncompress finds it by the file's name.
	Compressor string
	Fast       bool // larger files in less time
}

// Change is one image that was compressed or uncompressed.
type Change struct {
	Arch, Artifact string // Arch by its rpm name
	Path           string // of the new file, absolute
	Before, After  int64  // bytes
}

// Compress compresses the images of a build that are neither compressed already
// nor exempt from it.
func Compress(ctx context.Context, o Options) ([]Change, error) {
	name := o.Compressor
	if name == "" {
		var err error
		if name, err = configured(o.Workdir); err != nil {
			return nil, err
		}
	}
	format, err := compression.Parse(name)
	if err != nil {
		return nil, err
	}
	return each(o, func(b workdir.Build, artifact string, image workdir.Image) (*Change, error) {
		return compressOne(ctx, o, format, target{b, artifact, image})
	})
}

// Uncompress restores the compressed images of a build. One whose file does not
// lie here is an error only if it was named.
func Uncompress(ctx context.Context, o Options) ([]Change, error) {
	return each(o, func(b workdir.Build, artifact string, image workdir.Image) (*Change, error) {
		return uncompressOne(ctx, o, target{b, artifact, image})
	})
}

// configured is the compressor of the work directory's config.
func configured(d *workdir.Dir) (string, error) {
	variant, err := d.Variant()
	if err != nil {
		return "", err
	}
	name := "image.yaml"
	if variant != "" {
		name = "image-" + variant + ".yaml"
	}
	path := filepath.Join(d.Config(), name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return imageconf.CompressorGzip, nil // builds outlive their config
	}
	conf, err := imageconf.Load(path)
	if err != nil {
		return "", err
	}
	return conf.Compressor, nil
}

// each goes over the images that are meant, and gathers what was changed up to
// the first error.
func each(o Options, do func(workdir.Build, string, workdir.Image) (*Change, error)) ([]Change, error) {
	for _, name := range o.Artifacts {
		if _, err := workdir.FindImageKind(name); err != nil {
			return nil, err
		}
	}
	builds, err := o.Workdir.Arches(o.Build)
	if err != nil {
		return nil, err
	}
	var changes []Change
	for _, b := range builds {
		images, err := settled(b)
		if err != nil {
			return changes, err
		}
		for _, name := range slices.Sorted(maps.Keys(images)) {
			if len(o.Artifacts) > 0 && !slices.Contains(o.Artifacts, name) || exempt(name, images[name]) {
				continue
			}
			change, err := do(b, name, images[name])
			if err != nil {
				return changes, fmt.Errorf("build %s for %s: %s: %w", b.ID, b.Arch, name, err)
			}
			if change != nil {
				changes = append(changes, *change)
			}
		}
	}
	return changes, nil
}

// exempt tells whether an image is never compressed: by what its stage wrote, or
// by its kind where an older stage did not write it.
func exempt(name string, image workdir.Image) bool {
	kind, err := workdir.FindImageKind(name)
	return image.SkipCompression || err == nil && kind.SkipCompression
}

// settled are the images of a build. While stages write beside meta.json nobody
// can tell which file is the image.
func settled(b workdir.Build) (map[string]workdir.Image, error) {
	m, err := b.Meta()
	if err != nil {
		return nil, err
	}
	all, err := b.View()
	if err != nil {
		return nil, err
	}
	if !maps.Equal(m.Images, all.Images) {
		return nil, fmt.Errorf("build %s for %s: its stages wrote metadata that is not merged yet; run nosa meta --finalize first", b.ID, b.Arch)
	}
	return m.Images, nil
}

// target is one image of one build.
type target struct {
	build    workdir.Build
	artifact string
	image    workdir.Image
}

func (t target) path() string { return t.build.Path(t.image.Path) }

// compressOne returns nil if there was nothing to compress.
func compressOne(ctx context.Context, o Options, format compression.Format, t target) (*Change, error) {
	if t.image.UncompressedSHA256 != "" {
		if f, ok := compression.ByPath(t.image.Path); ok {
			return nil, t.removeLeftover(strings.TrimSuffix(t.image.Path, f.Extension()))
		}
		return nil, nil
	}
	if absent, err := t.absent(o); absent || err != nil {
		return nil, err
	}
	release, err := t.build.Claim(t.artifact)
	if err != nil {
		return nil, err
	}
	defer release()
	step := o.Log.Step("compress %s for %s with %s", t.artifact, t.build.Arch, format)
	defer step.Stop()
	made, err := t.convert(ctx, o, t.image.Path+format.Extension(), func(dst *sink, src *source) error {
		return format.Compress(ctx, o.Runner, dst, src, o.Fast)
	})
	if err != nil {
		return nil, err
	}
	made.UncompressedSHA256 = t.image.SHA256
	change, err := t.replace(made)
	if err == nil {
		step.Done("%s", share(change))
	}
	return change, err
}

// uncompressOne returns nil if there was nothing to uncompress.
func uncompressOne(ctx context.Context, o Options, t target) (*Change, error) {
	if t.image.UncompressedSHA256 == "" {
		for _, f := range compression.Formats() {
			if err := t.removeLeftover(t.image.Path + f.Extension()); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}
	format, ok := compression.ByPath(t.image.Path)
	if !ok {
		return nil, fmt.Errorf("%s is compressed in no way that is known", t.image.Path)
	}
	if absent, err := t.absent(o); absent || err != nil {
		return nil, err
	}
	release, err := t.build.Claim(t.artifact)
	if err != nil {
		return nil, err
	}
	defer release()
	step := o.Log.Step("uncompress %s for %s", t.artifact, t.build.Arch)
	defer step.Stop()
	made, err := t.convert(ctx, o, strings.TrimSuffix(t.image.Path, format.Extension()), func(dst *sink, src *source) error {
		return format.Decompress(ctx, o.Runner, dst, src)
	})
	if err != nil {
		return nil, err
	}
	made.UncompressedSize = 0
	change, err := t.replace(made)
	if err == nil {
		step.Done("%s", share(change))
	}
	return change, err
}

func share(c *Change) string {
	return fmt.Sprintf("%.1f MB of %.1f MB", float64(c.After)/1e6, float64(c.Before)/1e6)
}
