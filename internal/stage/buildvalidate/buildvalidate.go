// Package buildvalidate is the stage that holds the artifacts of a build against
// the checksums in its metadata, and checks its disks.
package buildvalidate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/compression"
	"github.com/nestos/nosa-actions/internal/image/fsck"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// ErrBad says that an artifact is not what the metadata says.
var ErrBad = errors.New("the build is not as its metadata says")

// Options says what to check.
type Options struct {
	Workdir    *workdir.Dir
	Runner     tool.Runner
	Build      string   // id; "" or "latest" is the newest build
	Images     []string // artifacts to check; empty: all
	NoChecksum bool     // look at the sizes of the files instead
	NoDisk     bool     // leave the file systems in disk images unchecked
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
			c.Err = c.run(ctx, o)
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

// run looks at the file, from cheap to dear, up to the first fault.
func (c *Check) run(ctx context.Context, o Options) error {
	if err := c.size(); err != nil {
		return err
	}
	if !o.NoChecksum {
		if err := c.checksum(ctx, o.Runner); err != nil {
			return err
		}
	}
	if o.NoDisk || !fsck.Can(c.path) {
		return nil // compressed ones too
	}
	scratch := filepath.Join(o.Workdir.Tmp(), "build-validate", c.Arch+"-"+c.Image)
	return fsck.Disk(ctx, o.Runner, c.path, scratch)
}

// checksum reads the file, and what it holds if it is compressed.
func (c *Check) checksum(ctx context.Context, run tool.Runner) error {
	f, err := os.Open(c.path)
	if err != nil {
		return err
	}
	defer f.Close()
	stored := sha256.New()
	content := io.Reader(reader{ctx, io.TeeReader(f, stored)})
	format, compressed := compression.ByPath(c.path)
	var unpackErr error
	inner := sha256.New()
	if compressed && c.want.UncompressedSHA256 != "" {
		unpackErr = format.Decompress(ctx, run, inner, content)
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return err
	}
	if got := hex.EncodeToString(stored.Sum(nil)); got != c.want.SHA256 {
		return fmt.Errorf("%s has the sha256 %s, recorded is %s", c.want.Path, got, c.want.SHA256)
	}
	if !compressed || c.want.UncompressedSHA256 == "" {
		return nil
	}
	if unpackErr != nil {
		return fmt.Errorf("uncompress %s: %w", c.want.Path, unpackErr)
	}
	if got := hex.EncodeToString(inner.Sum(nil)); got != c.want.UncompressedSHA256 {
		return fmt.Errorf("%s holds content with the sha256 %s, recorded is %s", c.want.Path, got, c.want.UncompressedSHA256)
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
