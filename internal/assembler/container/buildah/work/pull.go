//go:build containers_image_openpgp

package work

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/opencontainers/go-digest"
	"go.podman.io/common/pkg/retry"
	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/oci/archive"
	"go.podman.io/image/v5/oci/layout"
	"go.podman.io/image/v5/signature"
	is "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"

	"github.com/nestos/nosa-actions/internal/assembler/container"
)

// pulledName is the name in the store of what was pulled; the tag is the digest
// that was asked for, which is that of a list where the image has several
// architectures.
const pulledName = "localhost/nosa/pulled:"

func (s *store) pull(ctx context.Context, ref container.Reference) (container.Image, error) {
	want, err := s.want(ctx, ref)
	if err != nil {
		return container.Image{}, err
	}
	name := pulledName + want.Encoded()
	if _, err := s.Image(name); errors.Is(err, storage.ErrImageUnknown) {
		fmt.Fprintf(os.Stderr, "pulling %s (%s)\n", ref, want)
		if err := s.fetch(ctx, ref, want, name); err != nil {
			return container.Image{}, err
		}
	} else if err != nil {
		return container.Image{}, err
	}
	image, err := s.describe(ctx, name)
	image.Digest = want
	return image, err
}

// want is the digest that a reference stands for. Only a tag of a registry takes
// a look at the network.
func (s *store) want(ctx context.Context, ref container.Reference) (digest.Digest, error) {
	switch {
	case ref.Transport != container.Registry:
		return container.LayoutDigest(ref)
	case ref.Digest != "":
		return ref.Digest, nil
	}
	source, err := docker.ParseReference("//" + ref.Name + ":" + ref.Tag)
	if err != nil {
		return "", err
	}
	var found digest.Digest
	err = retry.IfNecessary(ctx, func() error {
		found, err = docker.GetDigest(ctx, s.sys, source)
		return err
	}, &retry.Options{MaxRetry: retries})
	return found, err
}

// retries are how often what fails for reasons of the network is tried again.
const retries = 3

func (s *store) fetch(ctx context.Context, ref container.Reference, want digest.Digest, name string) error {
	source, err := sourceOf(ref, want)
	if err != nil {
		return err
	}
	return retry.IfNecessary(ctx, func() error {
		if err := s.checkManifest(ctx, source, ref, want); err != nil {
			return err
		}
		return s.copyIn(ctx, source, name)
	}, &retry.Options{MaxRetry: retries})
}

func sourceOf(ref container.Reference, want digest.Digest) (types.ImageReference, error) {
	switch ref.Transport {
	case container.OCI:
		return layout.NewReference(ref.Name, ref.Tag)
	case container.OCIArchive:
		return archive.NewReference(ref.Name, ref.Tag)
	}
	return docker.ParseReference("//" + ref.Name + "@" + want.String())
}

// checkManifest compares the manifest with its digest ourselves: the library
// takes whatever lies in a layout under the name of the digest.
func (s *store) checkManifest(ctx context.Context, source types.ImageReference, ref container.Reference, want digest.Digest) error {
	src, err := source.NewImageSource(ctx, s.sys)
	if err != nil {
		return err
	}
	defer src.Close()
	text, _, err := src.GetManifest(ctx, nil)
	if err != nil {
		return err
	}
	if got := want.Algorithm().FromBytes(text); got != want {
		return &container.DigestError{Reference: ref, Got: got}
	}
	return nil
}

func (s *store) copyIn(ctx context.Context, source types.ImageReference, name string) error {
	target, err := is.Transport.ParseStoreReference(s, name)
	if err != nil {
		return err
	}
	policy, err := signature.NewPolicyContext(&signature.Policy{Default: signature.PolicyRequirements{signature.NewPRInsecureAcceptAnything()}})
	if err != nil {
		return err
	}
	_, err = copy.Image(ctx, policy, target, source, &copy.Options{SourceCtx: s.sys, DestinationCtx: s.sys})
	return errors.Join(err, policy.Destroy())
}

// describe reads what there is to know of an image in the store.
func (s *store) describe(ctx context.Context, name string) (container.Image, error) {
	stored, err := s.Image(name)
	if err != nil {
		return container.Image{}, err
	}
	ref, err := is.Transport.ParseStoreReference(s, "@"+stored.ID)
	if err != nil {
		return container.Image{}, err
	}
	opened, err := ref.NewImage(ctx, s.sys)
	if err != nil {
		return container.Image{}, err
	}
	defer opened.Close()
	config, err := opened.OCIConfig(ctx)
	if err != nil {
		return container.Image{}, err
	}
	c := config.Config
	return container.Image{ID: stored.ID, Digest: stored.Digest, Config: container.Config{
		Entrypoint: c.Entrypoint, Command: c.Cmd, Env: c.Env, User: c.User, WorkingDir: c.WorkingDir,
	}}, nil
}
