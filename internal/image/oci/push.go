package oci

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Target is a place in a registry and how to get there.
type Target struct {
	Reference string // HOST[:PORT]/NAME:TAG; without a host Docker Hub
	Format    Format // of the manifest
	// AuthFile holds credentials, as podman login and docker login write them.
	// Empty: the files that these two use.
	AuthFile string
	// NoTLSVerify accepts any certificate, and a registry without TLS.
	NoTLSVerify bool
}

// Pushed is what became of a push.
type Pushed struct {
	Digest string // of the manifest under the tag, "sha256:HEX"
	// Images are the digests of the images of an index, in the order of the
	// archives.
	Images []string
	// Sent counts blobs that the registry did not have, SentBytes what went over
	// the wire for them, with what had to be sent again.
	Blobs, Sent int
	SentBytes   int64
}

// Push sends the image of an archive to a registry, with the layers as they lie
// in the archive. What the registry has already is not sent. The tag appears
// last, when all the rest is there. The credentials for the target's registry, and
// no others, are read from the authentication file.
func Push(ctx context.Context, archive string, t Target) (Pushed, error) {
	p, err := newPush(ctx, t)
	if err != nil {
		return Pushed{}, err
	}
	img, err := p.open(archive)
	if err != nil {
		return Pushed{}, err
	}
	defer img.Close()
	if err := remote.Write(p.tag, img, p.options...); err != nil {
		return Pushed{}, p.explain(err)
	}
	return p.result(img)
}

// PushIndex sends the images of several archives, which are of one version for
// different architectures, and one tag from which each machine gets its own.
func PushIndex(ctx context.Context, archives []string, t Target) (Pushed, error) {
	p, err := newPush(ctx, t)
	if err != nil {
		return Pushed{}, err
	}
	index := mutate.IndexMediaType(empty.Index, t.Format.indexType())
	var digests []string
	for _, archive := range archives {
		img, err := p.open(archive)
		if err != nil {
			return Pushed{}, err
		}
		defer img.Close()
		entry, err := img.entry()
		if err != nil {
			return Pushed{}, fmt.Errorf("read %s: %w", archive, err)
		}
		digests = append(digests, entry.Digest.String())
		index = mutate.AppendManifests(index, entry)
	}
	if err := remote.WriteIndex(p.tag, index, p.options...); err != nil {
		return Pushed{}, p.explain(err)
	}
	done, err := p.result(index)
	done.Images = digests
	return done, err
}

// push is one run.
type push struct {
	Target
	tag     name.Tag
	options []remote.Option
	guard   *guard
	login   login
	images  []*pushImage
}

func newPush(ctx context.Context, t Target) (*push, error) {
	options := []name.Option{name.WithDefaultTag("")}
	if t.NoTLSVerify {
		options = append(options, name.Insecure)
	}
	tag, err := name.NewTag(t.Reference, options...)
	if err != nil {
		return nil, fmt.Errorf("image name %q: %w", t.Reference, err)
	}
	p := &push{Target: t, tag: tag, guard: newGuard(t.NoTLSVerify)}
	if p.login, err = findLogin(t.AuthFile, tag.Repository); err != nil {
		return nil, err
	}
	p.options = []remote.Option{
		remote.WithContext(ctx), remote.WithTransport(p.guard), remote.WithAuth(p.login.auth),
	}
	return p, nil
}

func (p *push) open(archive string) (*pushImage, error) {
	img, err := openImage(archive, p.Format)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", archive, err)
	}
	p.images = append(p.images, img)
	return img, nil
}

func (p *push) result(top remote.Taggable) (Pushed, error) {
	digest, err := digestOf(top)
	if err != nil {
		return Pushed{}, err
	}
	done := Pushed{Digest: digest}
	for _, img := range p.images {
		img.count(&done)
	}
	return done, nil
}

// Format is the kind of an image's manifest.
type Format string

// The formats of manifests.
const (
	OCI    Format = "oci"  // OCI image specification; the format of the archive
	Docker Format = "v2s2" // Docker image manifest version 2, schema 2
)

func (f Format) indexType() types.MediaType {
	if f == Docker {
		return types.DockerManifestList
	}
	return types.OCIImageIndex
}
