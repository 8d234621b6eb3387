// Package validate is the stage that holds the artifacts of a build against the
// checksums in its metadata.
package validate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/workdir"
)

// ErrBad says that an artifact is not what the metadata says.
var ErrBad = errors.New("the build is not as its metadata says")

// Options says what to check.
type Options struct {
	Workdir    *workdir.Dir
	Build      string   // id; "" or "latest" is the newest build
	Images     []string // artifacts to check; empty: all
	NoChecksum bool     // only look whether the files are there, with their sizes
}

// Check is the verdict on one artifact.
type Check struct {
	Arch  string // rpm name
	Image string
	Err   error // nil: the file is as recorded

	path string
	want workdir.Image
}

// Run checks the artifacts of a build in all architectures that lie here. The
// error is ErrBad if any check failed; all are made and returned even then.
func Run(ctx context.Context, o Options) ([]Check, error) {
	checks, err := plan(o)
	if err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range checks {
		c := &checks[i]
		group.Go(func() error {
			if c.Err = c.size(); c.Err == nil && !o.NoChecksum {
				c.Err = c.checksum(ctx)
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(checks, func(c Check) bool { return c.Err != nil }) {
		return checks, ErrBad
	}
	return checks, nil
}

func plan(o Options) ([]Check, error) {
	builds, err := o.Workdir.Arches(o.Build)
	if err != nil {
		return nil, err
	}
	var checks []Check
	for _, b := range builds {
		m, err := b.View()
		if err != nil {
			return nil, err
		}
		names := o.Images
		if len(names) == 0 {
			names = slices.Sorted(maps.Keys(m.Images))
		}
		for _, name := range names {
			image, ok := m.Images[name]
			if !ok {
				return nil, fmt.Errorf("build %s for %s has no artifact %q", b.ID, b.Arch, name)
			}
			checks = append(checks, Check{Arch: b.Arch.RPM, Image: name, path: b.Path(image.Path), want: image})
		}
	}
	return checks, nil
}

func (c *Check) size() error {
	info, err := os.Stat(c.path)
	if err != nil {
		return err
	}
	if c.want.Size != 0 && c.want.Size != info.Size() {
		return fmt.Errorf("%s has %d bytes, recorded are %d", c.want.Path, info.Size(), c.want.Size)
	}
	return nil
}

func (c *Check) checksum(ctx context.Context) error {
	f, err := os.Open(c.path)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, reader{ctx, f}); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != c.want.SHA256 {
		return fmt.Errorf("%s has the sha256 %s, recorded is %s", c.want.Path, got, c.want.SHA256)
	}
	return nil
}

// reader ends when its context does; images are large.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// Print writes one line for each check.
func Print(w io.Writer, checks []Check) error {
	for _, c := range checks {
		verdict := "ok"
		if c.Err != nil {
			verdict = c.Err.Error()
		}
		if _, err := fmt.Fprintf(w, "%s %s: %s\n", c.Arch, c.Image, verdict); err != nil {
			return err
		}
	}
	return nil
}
