package oci

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// annotationContent is a digest of what a layer of files is made of. A later
// export with the same takes the layer over as it is, compressed.
const annotationContent = "nosa.layer.content"

// layerFormat is part of that digest; it changes with the bytes that writeChunk
// makes of the same objects.
const layerFormat = "1"

// content is the chunk's digest for annotationContent.
func (c *chunk) content() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %d %d\n", layerFormat, gzipLevel, gzipBlock)
	for _, o := range c.objects {
		fmt.Fprintf(h, "%s %q\n", o.sum, o.paths)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// earlier are the layers of an archive, by what they are made of.
type earlier struct {
	archive *archive
	layers  map[string]*layerFile
}

// openEarlier reads what the archive of a build before can give. One that is
// missing or that cannot be read gives nothing: then all layers are made.
func openEarlier(path string) *earlier {
	e := &earlier{layers: map[string]*layerFile{}}
	if path == "" {
		return e
	}
	a, err := openArchive(path)
	if err != nil {
		return e
	}
	e.archive = a
	_, manifest, config, err := a.image()
	if err != nil || len(manifest.Layers) != len(config.RootFS.DiffIDs) {
		return e
	}
	for i, d := range manifest.Layers {
		content := d.Annotations[annotationContent]
		blob, err := a.blob(d)
		if err != nil || content == "" || d.MediaType != v1.MediaTypeImageLayerGzip {
			continue
		}
		e.layers[content] = &layerFile{
			blob: blob, verify: func() error { return a.verify(d) },
			digest: d.Digest, diffID: config.RootFS.DiffIDs[i], size: d.Size,
		}
	}
	return e
}

// take returns the layer made of the same content, undamaged, or nil.
func (e *earlier) take(content string) *layerFile {
	layer := e.layers[content]
	if layer == nil || layer.verify() != nil {
		return nil
	}
	return layer
}

func (e *earlier) Close() error {
	if e.archive == nil {
		return nil
	}
	return e.archive.Close()
}
