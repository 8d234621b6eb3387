package oci

import (
	"encoding/json"
	"fmt"
	"io"
	"sync/atomic"

	ggcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// pushImage is the image of an archive as the registry library sees one. It
// counts what is read of it.
type pushImage struct {
	ggcr.Image
	core *imageCore
}

func (i *pushImage) Close() error { return i.core.archive.Close() }

// ConfigLayer is the configuration as a blob, for the library to send.
func (i *pushImage) ConfigLayer() (ggcr.Layer, error) {
	name, err := i.ConfigName()
	if err != nil {
		return nil, err
	}
	return i.LayerByDigest(name)
}

// entry is the image in an index.
func (i *pushImage) entry() (mutate.IndexAddendum, error) {
	desc, err := partial.Descriptor(i)
	if err != nil {
		return mutate.IndexAddendum{}, err
	}
	config, err := i.ConfigFile()
	if err != nil {
		return mutate.IndexAddendum{}, err
	}
	desc.Platform = config.Platform()
	return mutate.IndexAddendum{Add: i, Descriptor: *desc}, nil
}

func (i *pushImage) count(done *Pushed) {
	for _, blob := range i.core.blobs {
		done.Blobs++
		if n := blob.read.Load(); n > 0 {
			done.Sent++
			done.SentBytes += n
		}
	}
}

func digestOf(top remote.Taggable) (string, error) {
	raw, err := top.RawManifest()
	return digest.FromBytes(raw).String(), err
}

// imageCore implements partial.CompressedImageCore: layers are handed on as they
// lie in the archive.
type imageCore struct {
	archive  *archive
	media    types.MediaType
	manifest []byte
	config   []byte
	blobs    map[ggcr.Hash]*imageBlob
}

func (c *imageCore) MediaType() (types.MediaType, error) { return c.media, nil }
func (c *imageCore) RawManifest() ([]byte, error)        { return c.manifest, nil }
func (c *imageCore) RawConfigFile() ([]byte, error)      { return c.config, nil }

func (c *imageCore) LayerByDigest(h ggcr.Hash) (partial.CompressedLayer, error) {
	if blob := c.blobs[h]; blob != nil {
		return blob, nil
	}
	return nil, fmt.Errorf("blob %s is missing from the archive", h)
}

// imageBlob is a layer, or the configuration.
type imageBlob struct {
	archive *archive
	desc    v1.Descriptor
	hash    ggcr.Hash
	diffID  ggcr.Hash // of a layer
	media   types.MediaType
	read    atomic.Int64 // bytes handed out
}

func (b *imageBlob) Digest() (ggcr.Hash, error)          { return b.hash, nil }
func (b *imageBlob) DiffID() (ggcr.Hash, error)          { return b.diffID, nil }
func (b *imageBlob) Size() (int64, error)                { return b.desc.Size, nil }
func (b *imageBlob) MediaType() (types.MediaType, error) { return b.media, nil }

func (b *imageBlob) Compressed() (io.ReadCloser, error) {
	r, err := b.archive.blob(b.desc)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(&counted{r, &b.read}), nil
}

type counted struct {
	io.Reader
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// openImage finds the image of an archive and checks that all its blobs are
// there; what they hold is for the registry to check. The image must be closed.
func openImage(name string, f Format) (_ *pushImage, err error) {
	a, err := openArchive(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	img, manifest, config, err := a.image()
	if err != nil {
		return nil, err
	}
	core := &imageCore{archive: a, media: types.OCIManifestSchema1, manifest: img.Manifest, blobs: map[ggcr.Hash]*imageBlob{}}
	if f == Docker {
		if err := core.convert(&manifest); err != nil {
			return nil, err
		}
	}
	if len(config.RootFS.DiffIDs) != len(manifest.Layers) {
		return nil, fmt.Errorf("manifest has %d layers and the image configuration %d", len(manifest.Layers), len(config.RootFS.DiffIDs))
	}
	if core.config, err = core.add(manifest.Config, ""); err != nil {
		return nil, err
	}
	for i, layer := range manifest.Layers {
		if _, err := core.add(layer, config.RootFS.DiffIDs[i]); err != nil {
			return nil, err
		}
	}
	extended, err := partial.CompressedToImage(core)
	return &pushImage{Image: extended, core: core}, err
}

// add makes a blob known. The content of one that has no diffID, the
// configuration, is returned.
func (c *imageCore) add(d v1.Descriptor, diffID digest.Digest) ([]byte, error) {
	r, err := c.archive.blob(d)
	if err != nil {
		return nil, err
	}
	blob := &imageBlob{archive: c.archive, desc: d, media: types.MediaType(d.MediaType)}
	if blob.hash, err = ggcr.NewHash(d.Digest.String()); err != nil {
		return nil, err
	}
	defer func() { c.blobs[blob.hash] = blob }()
	if diffID == "" {
		return io.ReadAll(r)
	}
	blob.diffID, err = ggcr.NewHash(diffID.String())
	return nil, err
}

// convert rewrites the manifest for Docker; the blobs stay what they are, and
// annotations, which that format has not, are left out.
func (c *imageCore) convert(m *v1.Manifest) error {
	c.media = types.DockerManifestSchema2
	m.MediaType, m.Annotations = string(c.media), nil
	m.Config.MediaType = string(types.DockerConfigJSON)
	for i := range m.Layers {
		switch m.Layers[i].MediaType {
		case v1.MediaTypeImageLayerGzip, string(types.DockerLayer):
			m.Layers[i].MediaType = string(types.DockerLayer)
		default:
			return fmt.Errorf("format %s has no layers of the type %.100q; push it as %s", Docker, m.Layers[i].MediaType, OCI)
		}
		m.Layers[i].Annotations = nil
	}
	raw, err := json.Marshal(m)
	c.manifest = raw
	return err
}
