// Package buildah is the container engine that needs no installed one: it has
// its work done by nosa-container, a program that has the buildah library in it
// and starts a runtime, runc or crun. The program is one of its own so that only
// who runs containers pays for the library, and so that it can be killed: it is
// the first process of its PID namespace and alone in its mount namespace, so
// with it goes every process and every mount that it made.
package buildah

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nestos/nosa-actions/internal/assembler/container"
	"github.com/nestos/nosa-actions/internal/assembler/container/inside"
	"github.com/nestos/nosa-actions/internal/tool"
)

// DefaultRoot is where images are kept when Engine.Root is empty.
const DefaultRoot = "/var/lib/nosa/containers"

// Engine runs containers through nosa-container. It needs root.
type Engine struct {
	Runner  tool.Runner
	Program string // path of nosa-container
	Init    string // path of nosa-init
	Root    string // directory of images; "" is DefaultRoot
	Log     io.Writer
	Login   *Login // for registries; nil uses the logins of docker and podman
	HTTP    bool   // registries speak plain HTTP; for tests and closed networks
}

var _ container.Engine = (*Engine)(nil)

// Pull implements container.Engine.
func (e *Engine) Pull(ctx context.Context, ref container.Reference) (container.Image, error) {
	if ref.Transport != container.Registry {
		if _, err := container.LayoutDigest(ref); err != nil {
			return container.Image{}, err // before anything is started
		}
	}
	image, err := e.make(ctx, Request{Pull: &Pull{Reference: ref}})
	if err != nil {
		return container.Image{}, fmt.Errorf("pull %s: %w", ref, err)
	}
	return image, nil
}

// Build implements container.Engine.
func (e *Engine) Build(ctx context.Context, spec container.BuildSpec) (container.Image, error) {
	if err := spec.Validate(); err != nil {
		return container.Image{}, err
	}
	log := spec.Log
	spec.Log = nil
	engine := *e
	engine.Log = log
	image, err := engine.make(ctx, Request{Build: &Build{Spec: spec}})
	if err != nil {
		return container.Image{}, fmt.Errorf("build %s: %w", spec.Containerfile, err)
	}
	return image, nil
}

// Run implements container.Engine.
func (e *Engine) Run(ctx context.Context, spec container.RunSpec) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	l, err := inside.Listen(e.Init, spec)
	if err != nil {
		return &container.RuntimeError{Err: err}
	}
	defer l.Close()
	spec.Stdout, spec.Stderr = nil, nil
	spec.Mounts = slices.Concat(spec.Mounts, l.Mounts())
	spec.Command = l.Command(spec.Command)
	ended := make(chan error, 1)
	p, err := e.start(ctx, Request{Run: &RunJob{Spec: spec}}, nil, e.Log)
	if err != nil {
		return &container.RuntimeError{Err: err}
	}
	go func() { ended <- rename(p.Wait()) }()
	return l.Wait(ctx, inside.Runtime{Ended: ended, Kill: func() { _ = p.Signal(syscall.SIGKILL) }})
}

// Close implements container.Engine.
func (e *Engine) Close() error { return nil }

// make has an image made and reads the answer.
func (e *Engine) make(ctx context.Context, r Request) (container.Image, error) {
	var out bytes.Buffer
	p, err := e.start(ctx, r, &out, e.Log)
	if err != nil {
		return container.Image{}, err
	}
	ended := make(chan error, 1)
	go func() { ended <- rename(p.Wait()) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = p.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(grace):
			_ = p.Signal(syscall.SIGKILL)
			<-ended
		}
		return container.Image{}, context.Cause(ctx)
	}
	if err != nil {
		return container.Image{}, err
	}
	var reply Reply
	if err := json.Unmarshal(out.Bytes(), &reply); err != nil {
		return container.Image{}, fmt.Errorf("answer of nosa-container: %w", err)
	}
	return reply.Image, nil
}

// grace is how long a pull or a build may take to end by itself.
const grace = 5 * time.Second

// start starts the program with a request. The context does not end it: what
// runs below is to be stopped in order, by the caller.
func (e *Engine) start(ctx context.Context, r Request, stdout, stderr io.Writer) (tool.Process, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("containers need root; run as root or through sudo")
	}
	if _, err := os.Stat(e.Program); err != nil {
		return nil, fmt.Errorf("find nosa-container: %w", err)
	}
	r.Root, r.Login, r.HTTP = e.Root, e.Login, e.HTTP
	r.Driver = os.Getenv("NOSA_STORAGE_DRIVER")
	if r.Root == "" {
		r.Root = DefaultRoot
	}
	var err error
	if r.Root, err = filepath.Abs(r.Root); err != nil {
		return nil, err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if stderr == nil {
		stderr = io.Discard
	}
	if stdout == nil {
		stdout = io.Discard
	}
	args := append([]string{"-i", "--"}, environment(os.Environ())...)
	p, err := e.Runner.Start(context.WithoutCancel(ctx), tool.Cmd{
		Name: "env", Args: append(args, e.Program), Stdin: bytes.NewReader(text),
		Stdout: stdout, Stderr: stderr, Namespaces: true,
	})
	return p, explain(err)
}

// allowed are the variables that the program gets; the container gets none of
// them. All but the first few say where logins to registries are.
var allowed = []string{
	"PATH", "TZ", "SSL_CERT_DIR", "SSL_CERT_FILE",
	"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
	"HOME", "XDG_RUNTIME_DIR", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE",
}

func environment(environ []string) []string {
	keep := slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return !slices.Contains(allowed, name)
	})
	return append(keep, "LC_ALL=C.UTF-8")
}

// rename gives an error the program's name: env only stood before it.
func rename(err error) error {
	if failed, ok := errors.AsType[*tool.Error](err); ok {
		failed.Cmd.Name = "nosa-container"
	}
	return err
}

// explain says what to do about a kernel that does not give us namespaces.
func explain(err error) error {
	if !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	why := ""
	if limit, readErr := os.ReadFile("/proc/sys/user/max_pid_namespaces"); readErr == nil && strings.TrimSpace(string(limit)) == "0" {
		why = "; the kernel forbids them (sysctl user.max_pid_namespaces is 0)"
	}
	return fmt.Errorf("this machine gives us no PID and mount namespaces of our own%s; "+
		"in a job that runs in a container itself, start that one with --privileged, or run stages with assembler: host: %w", why, err)
}
