//go:build containers_image_openpgp

package work

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/containers/buildah"
	"github.com/containers/buildah/define"
	"github.com/containers/buildah/pkg/parse"
	"github.com/moby/sys/capability"
	"github.com/opencontainers/runtime-spec/specs-go"
	nettypes "go.podman.io/common/libnetwork/types"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/assembler/container"
	"github.com/nestos/nosa-actions/internal/tool"
)

// specVersion is what crun up to 1.14.1, the one of Ubuntu 24.04, takes; we use
// nothing that is newer.
const specVersion = "1.0.2"

// hostNetwork stands for the machine's own network, which needs no setting up.
// The library insists on having something.
type hostNetwork struct{ nettypes.ContainerNetwork }

func (s *store) run(ctx context.Context, spec container.RunSpec) error {
	specs.Version = specVersion
	runtime, err := runtimeProgram()
	if err != nil {
		return err
	}
	options, err := s.options(spec, runtime)
	if err != nil {
		return err
	}
	b, err := s.builder(ctx, spec.Image.ID)
	if err != nil {
		return err
	}
	err = b.Run(spec.Command, options)
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		// Either the command's status, which the other side has been told, or
		// the runtime's failure, which the library has printed.
		err = exitError(exit.ExitCode())
	}
	return errors.Join(err, b.Delete())
}

type exitError int

func (e exitError) Error() string { return fmt.Sprintf("the runtime ended with status %d", int(e)) }

// runtimeProgram prefers runc: crun up to 1.8 refuses machines with both
// versions of control groups.
func runtimeProgram() (string, error) {
	for _, name := range []string{"runc", "crun"} {
		if path, err := tool.Look(name); err == nil {
			return path, nil
		}
	}
	return "", &tool.MissingError{Name: "runc"}
}

func (s *store) builder(ctx context.Context, image string) (*buildah.Builder, error) {
	all, err := capabilities()
	if err != nil {
		return nil, err
	}
	return buildah.NewBuilder(ctx, s, buildah.BuilderOptions{
		FromImage:        image,
		PullPolicy:       define.PullNever,
		Container:        containerPrefix + s.id,
		Isolation:        define.IsolationOCI,
		NamespaceOptions: hostNetworkNamespace,
		NetworkInterface: hostNetwork{},
		Capabilities:     all,
		CommonBuildOpts:  s.common(),
		SystemContext:    s.sys,
	})
}

var hostNetworkNamespace = define.NamespaceOptions{{Name: string(specs.NetworkNamespace), Host: true}}

// common are the limits of a container. The library would ask for more open
// files than a process without CAP_SYS_RESOURCE may have.
func (s *store) common() *define.CommonBuildOptions {
	return &define.CommonBuildOptions{
		CgroupParent: cgroup(s.id),
		Ulimit:       []string{"nofile=" + limit(unix.RLIMIT_NOFILE), "nproc=" + limit(unix.RLIMIT_NPROC)},
		Unmasks:      []string{"all"}, // a nested /proc can only be mounted where nothing of it is hidden
	}
}

func limit(resource int) string {
	most := uint64(define.RLimitDefaultValue)
	var l unix.Rlimit
	if err := unix.Getrlimit(resource, &l); err == nil {
		most = min(most, l.Max)
	}
	return fmt.Sprintf("%d:%d", most, most)
}

// capabilities are all that this process has.
func capabilities() ([]string, error) {
	own, err := capability.NewPid2(0)
	if err != nil {
		return nil, err
	}
	if err := own.Load(); err != nil {
		return nil, err
	}
	var all []string
	for _, c := range capability.ListKnown() {
		if own.Get(capability.EFFECTIVE, c) {
			all = append(all, "CAP_"+strings.ToUpper(c.String()))
		}
	}
	return all, nil
}

func (s *store) options(spec container.RunSpec, runtime string) (buildah.RunOptions, error) {
	o := buildah.RunOptions{
		Runtime:          runtime,
		Args:             []string{"--root", s.path("runtime")},
		Isolation:        define.IsolationOCI,
		NamespaceOptions: hostNetworkNamespace,
		Terminal:         buildah.WithoutTerminal,
		Env:              spec.Env,
		User:             spec.User,
		WorkingDir:       spec.WorkingDir,
		SystemContext:    s.sys,
		Stdin:            strings.NewReader(""),
		Stdout:           os.Stderr, // only the runtime speaks here
		Stderr:           os.Stderr,
	}
	for _, dir := range spec.TmpFS {
		o.Mounts = append(o.Mounts, specs.Mount{Type: "tmpfs", Source: "tmpfs", Destination: dir, Options: []string{"nosuid", "nodev", "mode=1777"}})
	}
	for _, m := range spec.Mounts {
		mode := "rw"
		if m.ReadOnly {
			mode = "ro"
		}
		o.Mounts = append(o.Mounts, specs.Mount{Type: "bind", Source: m.Source, Destination: m.Target, Options: []string{"rbind", "rprivate", mode}})
	}
	for _, path := range spec.Devices {
		devices, err := parse.DeviceFromPath(path)
		if err != nil {
			return o, err
		}
		o.Devices = append(o.Devices, devices...)
	}
	return o, nil
}
