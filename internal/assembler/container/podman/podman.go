// Package podman is the container engine for machines where people have podman
// and prefer it: the same promises as package buildah, kept with podman's command
// line.
package podman

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/assembler/container"
	"github.com/nestos/nosa-actions/internal/assembler/container/inside"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Engine runs containers with podman.
type Engine struct {
	Runner tool.Runner
	Init   string   // path of nosa-init
	Global []string // options before podman's command, such as --root; may be empty
	Log    io.Writer
	HTTP   bool // registries speak plain HTTP; for tests and closed networks
}

var _ container.Engine = (*Engine)(nil)

// pulledName is the name of what was pulled; the tag is the digest that was
// asked for.
const pulledName = "localhost/nosa/pulled:"

// Pull implements container.Engine.
func (e *Engine) Pull(ctx context.Context, ref container.Reference) (container.Image, error) {
	want := ref.Digest
	if ref.Transport != container.Registry {
		var err error
		if want, err = container.LayoutDigest(ref); err != nil {
			return container.Image{}, err
		}
	}
	if want != "" {
		if image, err := e.inspect(ctx, pulledName+want.Encoded()); err == nil {
			image.Digest = want
			return image, nil
		}
	}
	image, err := e.fetch(ctx, ref, want)
	if err != nil {
		return container.Image{}, fmt.Errorf("pull %s: %w", ref, err)
	}
	return image, nil
}

// fetch pulls an image and gives it the name by which it is found again.
func (e *Engine) fetch(ctx context.Context, ref container.Reference, want digest.Digest) (container.Image, error) {
	args := []string{"pull", "--quiet"}
	if e.HTTP {
		args = append(args, "--tls-verify=false")
	}
	dir := ""
	if ref.Transport != container.Registry {
		// Podman makes a name of the path, and names have no capital letters.
		link, err := os.MkdirTemp("", "nosa-pull-")
		if err != nil {
			return container.Image{}, err
		}
		defer os.RemoveAll(link)
		if err := os.Symlink(ref.Name, filepath.Join(link, "image")); err != nil {
			return container.Image{}, err
		}
		dir, ref.Name = link, "image"
	}
	out, err := e.Runner.Run(ctx, tool.Cmd{Name: "podman", Args: e.with(append(args, source(ref))...), Dir: dir, Stderr: e.Log})
	if err != nil {
		return container.Image{}, err
	}
	image, err := e.inspect(ctx, strings.TrimSpace(lastLine(string(out))))
	if err != nil {
		return container.Image{}, err
	}
	if want == "" {
		want = image.Digest
	}
	// Podman has checked a digest against the registry's answer. What lies in a
	// layout under the name of a digest it has not.
	if ref.Transport != container.Registry && image.Digest != want {
		return container.Image{}, &container.DigestError{Reference: ref, Got: image.Digest}
	}
	image.Digest = want
	_, err = e.podman(ctx, nil, "tag", image.ID, pulledName+want.Encoded())
	return image, err
}

// source is a reference as podman reads it. With a digest it takes no tag.
func source(ref container.Reference) string {
	if ref.Transport == container.Registry && ref.Digest != "" {
		return "docker://" + ref.Name + "@" + ref.Digest.String()
	}
	text := string(ref.Transport) + ":"
	if ref.Transport == container.Registry {
		text += "//"
	}
	text += ref.Name
	if ref.Tag != "" {
		text += ":" + ref.Tag
	}
	return text
}

func (e *Engine) inspect(ctx context.Context, name string) (container.Image, error) {
	out, err := e.podman(ctx, nil, "image", "inspect", name)
	if err != nil {
		return container.Image{}, err
	}
	var answer []struct {
		ID     string `json:"Id"`
		Digest digest.Digest
		Config struct {
			User       string
			Env        []string
			Entrypoint []string
			Cmd        []string
			WorkingDir string
		}
	}
	if err := json.Unmarshal(out, &answer); err != nil || len(answer) != 1 {
		return container.Image{}, fmt.Errorf("answer of podman image inspect: %d images, %w", len(answer), err)
	}
	c := answer[0].Config
	return container.Image{ID: answer[0].ID, Digest: answer[0].Digest, Config: container.Config{
		Entrypoint: c.Entrypoint, Command: c.Cmd, Env: c.Env, User: c.User, WorkingDir: c.WorkingDir,
	}}, nil
}

// Build implements container.Engine.
func (e *Engine) Build(ctx context.Context, spec container.BuildSpec) (container.Image, error) {
	if err := spec.Validate(); err != nil {
		return container.Image{}, err
	}
	id, err := os.CreateTemp("", "nosa-build-")
	if err != nil {
		return container.Image{}, err
	}
	defer os.Remove(id.Name())
	defer id.Close()
	args := []string{"build", "--quiet", "--format=oci", "--network=host", "--layers=false", "--iidfile=" + id.Name(), "--file=" + spec.Containerfile}
	for _, name := range slices.Sorted(maps.Keys(spec.Args)) {
		args = append(args, "--build-arg="+name+"="+spec.Args[name])
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Labels)) {
		args = append(args, "--label="+name+"="+spec.Labels[name])
	}
	if !spec.Epoch.IsZero() {
		args = append(args, fmt.Sprintf("--timestamp=%d", spec.Epoch.Unix()))
	}
	if spec.Name != "" {
		args = append(args, "--tag="+spec.Name)
	}
	if spec.Offline {
		args = append(args, "--pull=never")
	}
	if _, err := e.podman(ctx, spec.Log, append(args, spec.Context)...); err != nil {
		return container.Image{}, fmt.Errorf("build %s: %w", spec.Containerfile, err)
	}
	text, err := io.ReadAll(id)
	if err != nil {
		return container.Image{}, err
	}
	image, err := e.inspect(ctx, strings.TrimPrefix(strings.TrimSpace(string(text)), "sha256:"))
	if err != nil || spec.Output == "" {
		return image, err
	}
	_, err = e.podman(ctx, spec.Log, "save", "--quiet", "--format=oci-archive", "--output="+spec.Output, image.ID)
	return image, err
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
	name := "nosa-" + strings.ToLower(rand.Text()[:12])
	spec.Mounts = slices.Concat(spec.Mounts, l.Mounts())
	log := e.Log
	if log == nil {
		log = io.Discard
	}
	p, err := e.Runner.Start(context.WithoutCancel(ctx), tool.Cmd{
		Name: "podman", Args: e.with(arguments(name, spec, l.Command(spec.Command))...), Stdout: log, Stderr: log,
	})
	if err != nil {
		return &container.RuntimeError{Err: err}
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Wait() }()
	return l.Wait(ctx, inside.Runtime{Ended: ended, Kill: func() { e.remove(ctx, name) }})
}

// arguments are those of podman run. It sets up what the command may do as
// package buildah does.
func arguments(name string, spec container.RunSpec, command []string) []string {
	args := []string{
		"run", "--rm", "--name=" + name, "--pull=never", "--network=host", "--privileged",
		"--security-opt=label=disable", "--log-driver=none", "--http-proxy=false", "--env-host=false", "--entrypoint=[]",
		"--ulimit=nofile=" + limit(unix.RLIMIT_NOFILE, 1<<20), "--ulimit=nproc=" + limit(unix.RLIMIT_NPROC, 1<<15),
	}
	for _, m := range spec.Mounts {
		mode := "rw"
		if m.ReadOnly {
			mode = "ro"
		}
		args = append(args, "--volume="+m.Source+":"+m.Target+":"+mode+",rbind,rprivate")
	}
	for _, dir := range spec.TmpFS {
		args = append(args, "--tmpfs="+dir+":rw,nosuid,nodev,exec,mode=1777")
	}
	for _, path := range spec.Devices {
		args = append(args, "--device="+path)
	}
	for _, entry := range spec.Env {
		args = append(args, "--env="+entry)
	}
	if spec.User != "" {
		args = append(args, "--user="+spec.User)
	}
	if spec.WorkingDir != "" {
		args = append(args, "--workdir="+spec.WorkingDir)
	}
	return append(append(args, spec.Image.ID), command...)
}

// limit is what this process may set, up to most. Podman's own defaults fail
// without CAP_SYS_RESOURCE; it also lowers its own limit of processes first, so
// that for those most must be modest.
func limit(resource int, most uint64) string {
	var l unix.Rlimit
	if err := unix.Getrlimit(resource, &l); err == nil {
		most = min(most, l.Max)
	}
	return fmt.Sprintf("%d:%d", most, most)
}

// remove takes a container down whose podman does not end by itself.
func (e *Engine) remove(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	_, _ = e.podman(ctx, nil, "rm", "--force", "--time=0", name)
}

// Close implements container.Engine.
func (e *Engine) Close() error { return nil }

func (e *Engine) with(args ...string) []string { return slices.Concat(e.Global, args) }

func (e *Engine) podman(ctx context.Context, log io.Writer, args ...string) ([]byte, error) {
	var out bytes.Buffer
	cmd := tool.Cmd{Name: "podman", Args: e.with(args...), Stdout: &out}
	if log != nil {
		cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, log), log
	}
	_, err := e.Runner.Run(ctx, cmd)
	return out.Bytes(), err
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
