// Package inspect is the stage that looks into an image without booting it, and
// holds it against the records of the build that it is from.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/image/inspect"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// Options choose the image.
type Options struct {
	Runner  tool.Runner
	Workdir *workdir.Dir // nil: none; then Image is a file
	Image   string       // a file, or an artifact of the build such as qemu or live-iso
	Build   string       // id; empty: that of the file, or the newest
}

// Run looks into the image. What is wrong with it is in the report; an error
// means that it could not be looked into.
func Run(ctx context.Context, o Options) (*inspect.Report, error) {
	path, build, artifact, err := o.find()
	if err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp("", "nosa-inspect-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // in the system's own directory
	in := inspect.Options{Path: path, Scratch: scratch}
	if build != nil {
		if in.Records, err = inspect.RecordsOf(*build, artifact, scratch); err != nil {
			return nil, err
		}
	}
	return inspect.Run(ctx, o.Runner, in)
}

// find gives the image's file, and the build and the artifact that it is; the
// build is nil for an image that is of none.
func (o Options) find() (path string, build *workdir.Build, artifact string, err error) {
	if info, err := os.Stat(o.Image); err == nil && !info.IsDir() {
		return o.findFile()
	}
	if o.Workdir == nil {
		return "", nil, "", fmt.Errorf("%s: no such file", o.Image)
	}
	b, err := o.Workdir.Build(o.Build)
	if err != nil {
		return "", nil, "", err
	}
	_, path, err = b.Image(o.Image)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, "", fmt.Errorf("%s is neither a file nor an image of build %s", o.Image, b.ID)
	}
	return path, &b, o.Image, err
}

// findFile looks whose image a file is: of the build that is asked for, or of
// the one in whose directory it lies.
func (o Options) findFile() (path string, build *workdir.Build, artifact string, err error) {
	var b workdir.Build
	path, err = filepath.Abs(o.Image)
	if err != nil {
		return "", nil, "", err
	}
	dir := filepath.Dir(path)
	switch {
	case o.Build != "" && o.Workdir != nil:
		b, err = o.Workdir.Build(o.Build)
	case exists(filepath.Join(dir, "meta.json")):
		b, err = buildAt(dir)
	default:
		return path, nil, "", nil
	}
	if err != nil {
		return "", nil, "", err
	}
	meta, err := b.View()
	if err != nil {
		return "", nil, "", err
	}
	for name, artifact := range meta.Images {
		if artifact.Path == filepath.Base(path) {
			return path, &b, name, nil
		}
	}
	if o.Build != "" {
		return path, &b, "", nil
	}
	return path, nil, "", nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// buildAt opens the build in a directory builds/ID/ARCH.
func buildAt(dir string) (workdir.Build, error) {
	a, err := arch.Parse(filepath.Base(dir))
	if err != nil {
		return workdir.Build{}, fmt.Errorf("%s has a meta.json but is not named for an architecture: %w", dir, err)
	}
	w, err := workdir.Open(filepath.Join(dir, "../../.."), a)
	if err != nil {
		return workdir.Build{}, err
	}
	return w.Build(filepath.Base(filepath.Dir(dir)))
}
