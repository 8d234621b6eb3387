package oci

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	maxDocument = 4 << 20 // bytes of a manifest, configuration or index
	maxMembers  = 4096    // of an archive
)

// archive is an open oci-archive. Its members are read where they lie.
type archive struct {
	file    *os.File
	members map[string]*io.SectionReader // by clean path
}

// openArchive finds the members without reading them.
func openArchive(name string) (a *archive, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	a = &archive{file: f, members: map[string]*io.SectionReader{}}
	for t := tar.NewReader(f); ; {
		hdr, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("not a whole oci-archive: %w", err)
		}
		begin, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		if err := a.add(hdr, begin, info.Size()); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *archive) add(hdr *tar.Header, begin, size int64) error {
	switch {
	case hdr.Typeflag == tar.TypeDir:
		return nil
	case hdr.Typeflag != tar.TypeReg:
		return fmt.Errorf("%.200q in the archive is no regular file", hdr.Name)
	case hdr.Size > size-begin:
		return fmt.Errorf("archive is cut off: %.200q ends at byte %d of %d", hdr.Name, begin+hdr.Size, size)
	case len(a.members) == maxMembers:
		return fmt.Errorf("archive has more than %d members", maxMembers)
	}
	a.members[path.Clean(hdr.Name)] = io.NewSectionReader(a.file, begin, hdr.Size)
	return nil
}

func (a *archive) Close() error { return a.file.Close() }

// blob finds the content of a descriptor, whose size is checked, its digest not.
func (a *archive) blob(d v1.Descriptor) (*io.SectionReader, error) {
	if err := d.Digest.Validate(); err != nil || d.Digest.Algorithm() != digest.SHA256 {
		return nil, fmt.Errorf("%.200q is not a sha256 digest", d.Digest)
	}
	m := a.members[blobPath(d.Digest)]
	if m == nil {
		return nil, fmt.Errorf("blob %s is missing from the archive", d.Digest)
	}
	if m.Size() != d.Size {
		return nil, fmt.Errorf("blob %s has %d bytes instead of %d", d.Digest, m.Size(), d.Size)
	}
	return io.NewSectionReader(m, 0, m.Size()), nil // a position of its own
}

// verify reads the whole blob and compares the digest.
func (a *archive) verify(d v1.Descriptor) error {
	r, err := a.blob(d)
	if err != nil {
		return err
	}
	sum := digest.SHA256.Digester()
	if _, err := io.Copy(sum.Hash(), r); err != nil {
		return err
	}
	return matches(d, sum)
}

func matches(d v1.Descriptor, sum digest.Digester) error {
	if got := sum.Digest(); got != d.Digest {
		return fmt.Errorf("blob %s is damaged: its content has the digest %s", d.Digest, got)
	}
	return nil
}

// document reads a member that is parsed as a whole.
func document(r *io.SectionReader, into any) ([]byte, error) {
	if r.Size() > maxDocument {
		return nil, fmt.Errorf("%d bytes are more than the %d that are allowed", r.Size(), maxDocument)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return data, json.Unmarshal(data, into)
}

// image reads and verifies the manifest and the configuration.
func (a *archive) image() (img *Image, manifest v1.Manifest, config v1.Image, err error) {
	desc, err := a.manifest()
	if err != nil {
		return nil, manifest, config, err
	}
	raw, err := a.verified(desc, &manifest)
	if err != nil {
		return nil, manifest, config, fmt.Errorf("manifest: %w", err)
	}
	if _, err := a.verified(manifest.Config, &config); err != nil {
		return nil, manifest, config, fmt.Errorf("image configuration: %w", err)
	}
	img = &Image{Manifest: raw, Digest: desc.Digest, Labels: config.Config.Labels, Commit: config.Config.Labels[labelCommit]}
	return img, manifest, config, nil
}

// manifest finds the one image of the archive, or the one with our tag.
func (a *archive) manifest() (desc v1.Descriptor, err error) {
	member := a.members[v1.ImageIndexFile]
	if member == nil || a.members[v1.ImageLayoutFile] == nil {
		return desc, errors.New("no OCI image layout in the archive: oci-layout or index.json is missing")
	}
	var index v1.Index
	if _, err := document(member, &index); err != nil {
		return desc, fmt.Errorf("index.json: %w", err)
	}
	var found []v1.Descriptor
	for _, d := range index.Manifests {
		if len(index.Manifests) == 1 || d.Annotations[v1.AnnotationRefName] == Tag {
			found = append(found, d)
		}
	}
	if len(found) != 1 {
		return desc, fmt.Errorf("archive has %d images, of which %d are tagged %q", len(index.Manifests), len(found), Tag)
	}
	if found[0].MediaType != v1.MediaTypeImageManifest {
		return desc, fmt.Errorf("media type %.100q of the image is not supported", found[0].MediaType)
	}
	return found[0], nil
}

func (a *archive) verified(d v1.Descriptor, into any) ([]byte, error) {
	r, err := a.blob(d)
	if err != nil {
		return nil, err
	}
	if r.Size() <= maxDocument {
		if err := a.verify(d); err != nil {
			return nil, err
		}
	}
	return document(r, into)
}

// Inspect reads what the archive says about its image, without the layers.
func Inspect(name string) (*Image, error) {
	a, err := openArchive(name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	defer a.Close()
	img, _, _, err := a.image()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return img, nil
}
