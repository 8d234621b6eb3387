// Package oci turns an OSTree commit into an oci-archive, the images.ostree
// artifact, and back. The archive is a tar of an OCI image layout with one
// image, tagged "latest", in the OSTree container format version 1: a first
// layer with the commit and all directories, then layers with the files, grouped
// by package so that an update downloads little.
//
// Format: the OCI image specification, and for labels, annotations and layers
// the behaviour of ostree-rs-ext (ostreedev/ostree-rs-ext, now part of
// bootc-dev/bootc); the members of a layer are package ostreetar's.
package oci

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nestos/nosa-actions/internal/arch"
)

// Tag names the image in the archive.
const Tag = "latest"

// DefaultMaxLayers is the limit of layers with files where none is given.
const DefaultMaxLayers = 50

// Labels of the image, which are also the manifest's annotations.
const (
	labelCommit     = "ostree.commit"
	labelFinalLayer = "ostree.final-diffid" // diffID of the last layer that belongs to the commit
	labelBootable   = "ostree.bootable"
	labelKernel     = "ostree.linux"
	labelBootc      = "containers.bootc"
	labelVersion    = "version" // the older name of the next
)

// annotationComponents lists the packages of a layer, separated by commas.
const annotationComponents = "ostree.components"

// Keys of commit metadata that make labels or the image's command.
const (
	keyVersion  = "version"
	keyBootable = "ostree.bootable"
	keyKernel   = "ostree.linux"
	keyCommand  = "ostree.container-cmd"
)

// ExportInput says what to export.
type ExportInput struct {
	Repo   string    // repository: archive, bare or bare-user
	Commit string    // checksum or ref
	Output string    // path of the archive, replaced when complete
	Arch   arch.Arch // of the image

	// Labels are added to those that the commit gives and win over them.
	Labels map[string]string
	// Cmd is the command of the image; nil: from the commit's metadata.
	Cmd []string
	// Created is the time of the image; zero: that of the commit.
	Created time.Time

	// Packages tells the owner of each file. What nobody owns goes to one layer
	// of its own.
	Packages []PackageFiles
	// Components are other files that change together; each that has some gets a
	// layer of its own. From the 25th on they are of nobody.
	Components []Component
	// MaxLayers limits the layers with files of packages and of nobody; 0 means
	// DefaultMaxLayers. The layers of the commit and of components come on top.
	MaxLayers int
	// Previous is the manifest of the build before, or nil. With it packages
	// stay in the layers they were in.
	Previous []byte
	// PreviousArchive is the path of that build's archive, from which layers
	// are taken over whose content is still the same; empty, or a path without
	// a file: all are made.
	PreviousArchive string

	// Jobs is how many layers are made at once; 0: as many as there are
	// processors. It has no influence on the bytes.
	Jobs int
}

// PackageFiles is a package and its paths in the final tree, such as
// /usr/bin/sh. Paths that the commit does not have, or has as directories, are
// passed over. A path of /etc may be given as such or under /usr/etc.
type PackageFiles struct {
	Name string
	// Source names the source package, with or without a version; packages of
	// one source change together and share a layer. Empty: the package stands
	// for itself.
	Source string
	Paths  []string
}

// Image is what an archive says about itself.
type Image struct {
	Commit   string            // checksum
	Labels   map[string]string // of the image configuration
	Manifest []byte            // raw
	Digest   digest.Digest     // of the manifest
}

func descriptor(mediaType string, data []byte) v1.Descriptor {
	return v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
}

// writeArchive writes the layout: the small files first, so that a reader of the
// stream knows early what comes.
func writeArchive(w io.Writer, config, manifest []byte, platform v1.Platform, layers []*layerFile) error {
	desc := descriptor(v1.MediaTypeImageManifest, manifest)
	desc.Annotations = map[string]string{v1.AnnotationRefName: Tag}
	desc.Platform = &platform
	index, err := json.Marshal(v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageIndex,
		Manifests: []v1.Descriptor{desc},
	})
	if err != nil {
		return err
	}
	layout, err := json.Marshal(v1.ImageLayout{Version: v1.ImageLayoutVersion})
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	for _, dir := range []string{"blobs/", "blobs/sha256/"} {
		if err := t.WriteHeader(archiveMember(dir, tar.TypeDir, 0o755, 0)); err != nil {
			return err
		}
	}
	for _, small := range []struct {
		name string
		data []byte
	}{
		{v1.ImageLayoutFile, layout},
		{v1.ImageIndexFile, index},
		{blobPath(digest.FromBytes(manifest)), manifest},
		{blobPath(digest.FromBytes(config)), config},
	} {
		if err := t.WriteHeader(archiveMember(small.name, tar.TypeReg, 0o644, int64(len(small.data)))); err != nil {
			return err
		}
		if _, err := t.Write(small.data); err != nil {
			return err
		}
	}
	written := map[digest.Digest]bool{}
	for _, layer := range layers {
		if written[layer.digest] {
			continue
		}
		written[layer.digest] = true
		if err := appendLayer(t, layer); err != nil {
			return err
		}
	}
	return t.Close()
}

func appendLayer(t *tar.Writer, layer *layerFile) error {
	r, err := layer.open()
	if err != nil {
		return err
	}
	defer r.Close()
	if err := t.WriteHeader(archiveMember(blobPath(layer.digest), tar.TypeReg, 0o644, layer.size)); err != nil {
		return err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{t}, struct{ io.Reader }{r}, make([]byte, 1<<20))
	if err != nil || n != layer.size {
		return fmt.Errorf("copy layer: %d of %d bytes: %w", n, layer.size, err)
	}
	return nil
}

func archiveMember(name string, typ byte, mode, size int64) *tar.Header {
	return &tar.Header{Name: name, Typeflag: typ, Mode: mode, Size: size, ModTime: time.Unix(0, 0), Format: tar.FormatGNU}
}

// blobPath is where a layout keeps a blob. The digest must be valid.
func blobPath(d digest.Digest) string {
	return v1.ImageBlobsDir + "/" + d.Algorithm().String() + "/" + d.Encoded()
}
