package assembler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nestos/nosa-actions/internal/assembler/container"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/retry"
)

// mountPoint is where an assembler image expects the work directory.
const mountPoint = "/srv"

// Container runs stages in an image that honours the seam: ours, or that of
// upstream. The container is the one that upstream's documentation has people
// start: as root and privileged, with the machine's network, the work directory
// at /srv, /tmp in memory, /var/tmp on disk, /dev/kvm and /dev/fuse. The stage
// and its arguments follow the image's own entry point.
type Container struct {
	Engine  container.Engine
	Image   container.Reference
	Workdir string // absolute
	// Log receives the stage's output live, line by line without line breaks.
	Log func(line string)
	// Environ is where the environment is taken from; nil: the process's own.
	Environ []string
	// Show are files and directories of this machine that stages may read, such
	// as the config. They have the same path inside.
	Show []string
	// Mounts are further ones, which may lie within those of Show.
	Mounts []container.Mount

	once  sync.Once
	image container.Image
	err   error // of the pull
}

// Run implements Assembler.
func (c *Container) Run(ctx context.Context, stage Stage) ([]diag.Finding, error) {
	if !filepath.IsAbs(c.Workdir) {
		return nil, fmt.Errorf("work directory %q is not absolute", c.Workdir)
	}
	c.once.Do(func() { c.err = c.pull(ctx) })
	if c.err != nil {
		return nil, c.err
	}
	scratch, err := c.scratch()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	spec := c.spec(stage, scratch)
	scan := &scanner{config: filepath.Join(c.Workdir, "src", "config"), mount: mountPoint, log: c.Log}
	return follow(ctx, stage, scan, func(stdout, stderr io.Writer) error {
		spec.Stdout, spec.Stderr = stdout, stderr
		return c.Engine.Run(ctx, spec)
	})
}

// pullLimit is enough for an image of 2 GB at 20 Mbit/s. Engines repeat what fails
// themselves; a connection over which nothing comes any more does not fail.
var pullLimit = retry.Limit{Tries: 2, Each: 15 * time.Minute}

func (c *Container) pull(ctx context.Context) error {
	var image container.Image
	err := retry.IfStalled(ctx, pullLimit, "the pull of "+c.Image.String(),
		"try again later, take a registry that is nearer, or give the image as oci-archive:PATH", func(ctx context.Context) error {
			var err error
			image, err = c.Engine.Pull(ctx, c.Image)
			return err
		})
	if err != nil {
		return err
	}
	if len(image.Config.Entrypoint) == 0 {
		return fmt.Errorf("image %s has no entry point, so it is no assembler", c.Image)
	}
	if c.Log != nil {
		c.Log(fmt.Sprintf("assembler %s, %s", c.Image, image.Digest))
	}
	c.image = image
	return nil
}

func (c *Container) spec(stage Stage, scratch string) container.RunSpec {
	environ := c.Environ
	if environ == nil {
		environ = os.Environ()
	}
	spec := container.RunSpec{
		Image:      c.image,
		Command:    slices.Concat(c.image.Config.Entrypoint, []string{stage.Name}, stage.Args),
		Env:        containerEnvironment(environ),
		WorkingDir: mountPoint,
		User:       "root",
		TmpFS:      []string{"/tmp"},
		Mounts: []container.Mount{
			{Source: c.Workdir, Target: mountPoint},
			{Source: scratch, Target: "/var/tmp"},
		},
	}
	spec.Devices = devices()
	if !slices.Contains(spec.Devices, kvm) {
		spec.Env = append(spec.Env, "COSA_NO_KVM=1")
	}
	for _, path := range distinct(c.Show) {
		spec.Mounts = append(spec.Mounts, container.Mount{Source: path, Target: path, ReadOnly: true})
	}
	spec.Mounts = append(spec.Mounts, c.Mounts...)
	return spec
}

func distinct(paths []string) []string {
	var clean []string
	for _, p := range paths {
		clean = append(clean, filepath.Clean(p))
	}
	slices.Sort(clean)
	return slices.Compact(clean)
}

// scratchPrefix begins the name of a /var/tmp; the id of our process follows, so
// that the next stage can tell what a killed one has left.
const scratchPrefix = "container-"

// scratch makes the /var/tmp of one stage, on the disk of the work directory.
func (c *Container) scratch() (string, error) {
	parent := filepath.Join(c.Workdir, "tmp")
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	old, err := filepath.Glob(filepath.Join(parent, scratchPrefix+"*"))
	if err != nil {
		return "", err
	}
	for _, dir := range old {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), scratchPrefix), "-")
		if _, err := os.Stat(filepath.Join("/proc", pid)); errors.Is(err, fs.ErrNotExist) {
			if err := os.RemoveAll(dir); err != nil {
				return "", err
			}
		}
	}
	dir, err := os.MkdirTemp(parent, fmt.Sprintf("%s%d-", scratchPrefix, os.Getpid()))
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o777|os.ModeSticky)
}
