//go:build containers_image_openpgp

package work

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/containers/buildah/define"
	"github.com/containers/buildah/imagebuildah"
	"github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/oci/archive"
	"go.podman.io/image/v5/signature"
	is "go.podman.io/image/v5/storage"

	"github.com/nestos/nosa-actions/internal/assembler/container"
)

func (s *store) build(ctx context.Context, spec container.BuildSpec) (container.Image, error) {
	specs.Version = specVersion
	runtime, err := runtimeProgram()
	if err != nil {
		return container.Image{}, err
	}
	id, _, err := imagebuildah.BuildDockerfiles(ctx, s, s.buildOptions(spec, runtime), spec.Containerfile)
	if err != nil {
		return container.Image{}, err
	}
	image, err := s.describe(ctx, id)
	if err != nil || spec.Output == "" {
		return image, err
	}
	return image, s.export(ctx, id, spec.Output)
}

func (s *store) buildOptions(spec container.BuildSpec, runtime string) define.BuildOptions {
	o := define.BuildOptions{
		ContextDirectory: spec.Context,
		ContainerSuffix:  containerPrefix + s.id,
		PullPolicy:       define.PullIfMissing,
		Args:             spec.Args,
		Isolation:        define.IsolationOCI,
		Runtime:          runtime,
		RuntimeArgs:      []string{"--root", s.path("runtime")},
		NamespaceOptions: hostNetworkNamespace,
		NetworkInterface: hostNetwork{},
		CommonBuildOpts:  s.common(),
		AddCapabilities:  buildCapabilities,
		OutputFormat:     define.OCIv1ImageManifest,
		Output:           spec.Name,
		SystemContext:    s.sys,
		Out:              os.Stderr, Err: os.Stderr, ReportWriter: os.Stderr,
		Layers:                  false,
		RemoveIntermediateCtrs:  true,
		ForceRmIntermediateCtrs: true,
		Squash:                  false,
	}
	if spec.Offline {
		o.PullPolicy = define.PullNever
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Labels)) {
		o.Labels = append(o.Labels, name+"="+spec.Labels[name])
	}
	if !spec.Epoch.IsZero() {
		o.SourceDateEpoch, o.RewriteTimestamp = &spec.Epoch, true
	}
	return o
}

// buildCapabilities are what the package managers of distributions need.
var buildCapabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
	"CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

// export writes an image as an OCI archive.
func (s *store) export(ctx context.Context, id, file string) error {
	source, err := is.Transport.ParseStoreReference(s, "@"+id)
	if err != nil {
		return err
	}
	half := file + ".half"
	target, err := archive.NewReference(half, "")
	if err != nil {
		return err
	}
	policy, err := signature.NewPolicyContext(&signature.Policy{Default: signature.PolicyRequirements{signature.NewPRInsecureAcceptAnything()}})
	if err != nil {
		return err
	}
	_ = os.Remove(half)
	_, err = copy.Image(ctx, policy, target, source, &copy.Options{SourceCtx: s.sys, DestinationCtx: s.sys})
	if err = errors.Join(err, policy.Destroy()); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return os.Rename(half, file)
}
