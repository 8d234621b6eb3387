// Package streammeta is the metadata of published images: release.json of one
// build and stream metadata of the newest one, as coreos-installer,
// openshift-install and download pages read them. Sources:
// the schemas of coreos/stream-metadata-go, and what coreos-assembler's
// generate-release-meta writes.
package streammeta

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// Release is the content of release.json: all images of one build.
type Release struct {
	Release       string           `json:"release"` // build id
	Stream        string           `json:"stream"`
	Metadata      *Metadata        `json:"metadata,omitempty"`
	Architectures map[string]*Arch `json:"architectures"` // by rpm name
}

// Metadata is about a file rather than about images.
type Metadata struct {
	LastModified string `json:"last-modified"` // UTC, RFC 3339
	Generator    string `json:"generator,omitempty"`
}

// Arch are the images of one architecture.
type Arch struct {
	Commit string            `json:"commit"` // ostree commit, sha256 in hex
	Media  map[string]*Media `json:"media"`  // by platform
}

// Media are the images of one platform: files, and what clouds hold.
type Media struct {
	Artifacts map[string]Format     `json:"artifacts"`        // by format, such as "qcow2.gz"
	Images    map[string]CloudImage `json:"images,omitempty"` // by region
	Image     *CloudProject         `json:"image,omitempty"`  // of clouds without regions
}

// Format are the files that one image consists of.
type Format struct {
	Disk      *Artifact `json:"disk,omitempty"`
	Kernel    *Artifact `json:"kernel,omitempty"`
	Initramfs *Artifact `json:"initramfs,omitempty"`
	Rootfs    *Artifact `json:"rootfs,omitempty"`
}

// Artifact is one file to download.
type Artifact struct {
	Location  string `json:"location"`  // URL; empty if no one address gives the whole file
	Signature string `json:"signature"` // URL of the detached signature; empty if there is none
	SHA256    string `json:"sha256"`    // of the file at Location, hex
	// UncompressedSHA256 is nil for what is not compressed.
	UncompressedSHA256 *string `json:"uncompressed-sha256"`
}

// CloudImage is an image that a region of a cloud holds.
type CloudImage struct {
	Image string `json:"image"`
}

// CloudProject is an image that a project of a cloud holds.
type CloudProject struct {
	Project string `json:"project"`
	Family  string `json:"family,omitempty"`
	Name    string `json:"name"`
}

// ParseRelease reads a release.json.
func ParseRelease(data []byte) (*Release, error) {
	var r Release
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, err
	}
	if r.Release == "" {
		return nil, errors.New("release metadata names no release")
	}
	for name, a := range r.Architectures {
		if a == nil {
			return nil, fmt.Errorf("release metadata says nothing about %s", name)
		}
		for platform, m := range a.Media {
			if m == nil { // written by some for "none"
				delete(a.Media, platform)
			}
		}
	}
	return &r, nil
}

// JSON is the content of release.json, on one line.
func (r *Release) JSON() ([]byte, error) { return oneLine(r) }

func oneLine(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	return append(data, '\n'), err
}

// Merge adds what other says about the same release: architectures and media
// that are new. It is an error if the two contradict each other.
func (r *Release) Merge(other *Release) error {
	if r.Release != other.Release {
		return fmt.Errorf("release %s is not release %s", other.Release, r.Release)
	}
	if r.Stream != other.Stream {
		return fmt.Errorf("release %s: stream %q is not stream %q", r.Release, other.Stream, r.Stream)
	}
	if r.Architectures == nil {
		r.Architectures = map[string]*Arch{}
	}
	for _, name := range slices.Sorted(maps.Keys(other.Architectures)) {
		here, there := r.Architectures[name], other.Architectures[name]
		if here == nil {
			r.Architectures[name] = there
			continue
		}
		if err := here.merge(there); err != nil {
			return fmt.Errorf("release %s for %s: %w", r.Release, name, err)
		}
	}
	return nil
}

func (a *Arch) merge(other *Arch) error {
	if a.Commit != other.Commit {
		return fmt.Errorf("commit %s is not commit %s", other.Commit, a.Commit)
	}
	for _, platform := range slices.Sorted(maps.Keys(other.Media)) {
		here, known := a.Media[platform]
		switch there := other.Media[platform]; {
		case !known || here.empty():
			if a.Media == nil {
				a.Media = map[string]*Media{}
			}
			a.Media[platform] = there
		case there.empty(), reflect.DeepEqual(here, there):
		default:
			return fmt.Errorf("two different sets of images for %s", platform)
		}
	}
	return nil
}

// empty tells whether there is nothing, as in the "metal" that is always there.
func (m *Media) empty() bool {
	return m == nil || len(m.Artifacts) == 0 && len(m.Images) == 0 && m.Image == nil
}
