package streammeta

import (
	"encoding/json"
	"errors"
	"maps"
)

// Stream is stream metadata: for each platform the image to use now.
type Stream struct {
	Stream        string                 `json:"stream"`
	Metadata      Metadata               `json:"metadata"`
	Architectures map[string]*StreamArch `json:"architectures"` // by rpm name
}

// StreamArch are the images of one architecture.
type StreamArch struct {
	Artifacts map[string]StreamPlatform `json:"artifacts"`        // by platform
	Images    map[string]any            `json:"images,omitempty"` // by cloud: CloudRegions or StreamProject
}

// StreamPlatform are the files of one platform.
type StreamPlatform struct {
	Release string                  `json:"release"`
	Formats map[string]StreamFormat `json:"formats"` // by format, such as "qcow2.gz"
}

// StreamFormat are the files that one image consists of.
type StreamFormat struct {
	Disk      *StreamArtifact `json:"disk,omitempty"`
	Kernel    *StreamArtifact `json:"kernel,omitempty"`
	Initramfs *StreamArtifact `json:"initramfs,omitempty"`
	Rootfs    *StreamArtifact `json:"rootfs,omitempty"`
}

// StreamArtifact is one file to download; its fields are those of Artifact.
type StreamArtifact struct {
	Location           string  `json:"location"`
	Signature          string  `json:"signature"`
	SHA256             string  `json:"sha256"`
	UncompressedSHA256 *string `json:"uncompressed-sha256,omitempty"`
}

// CloudRegions are the images of a cloud with regions.
type CloudRegions struct {
	Regions map[string]RegionImage `json:"regions"`
}

// RegionImage is the image of one region.
type RegionImage struct {
	Release string `json:"release"`
	Image   string `json:"image"`
}

// StreamProject is the image of a cloud without regions.
type StreamProject struct {
	Release string `json:"release"`
	CloudProject
}

// StreamMetadata is the stream metadata that leads to this release.
func (r *Release) StreamMetadata(m Metadata) *Stream {
	s := &Stream{Stream: r.Stream, Metadata: m, Architectures: map[string]*StreamArch{}}
	for name, arch := range r.Architectures {
		to := &StreamArch{Artifacts: map[string]StreamPlatform{}}
		for platform, media := range arch.Media {
			to.add(r.Release, platform, media)
		}
		s.Architectures[name] = to
	}
	return s
}

func (a *StreamArch) add(release, platform string, m *Media) {
	formats := map[string]StreamFormat{}
	for name, f := range m.Artifacts {
		formats[name] = StreamFormat{
			Disk: (*StreamArtifact)(f.Disk), Kernel: (*StreamArtifact)(f.Kernel),
			Initramfs: (*StreamArtifact)(f.Initramfs), Rootfs: (*StreamArtifact)(f.Rootfs),
		}
	}
	if len(formats) > 0 {
		a.Artifacts[platform] = StreamPlatform{Release: release, Formats: formats}
	}
	if a.Images == nil && (len(m.Images) > 0 || m.Image != nil) {
		a.Images = map[string]any{}
	}
	if len(m.Images) > 0 {
		regions := CloudRegions{Regions: map[string]RegionImage{}}
		for region, image := range m.Images {
			regions.Regions[region] = RegionImage{Release: release, Image: image.Image}
		}
		a.Images[platform] = regions
	}
	if m.Image != nil {
		a.Images[platform] = StreamProject{Release: release, CloudProject: *m.Image}
	}
}

// JSON is the content of the stream's file, indented for those who look at it.
func (s *Stream) JSON() ([]byte, error) { return indented(s) }

func indented(v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "    ")
	return append(data, '\n'), err
}

// Override lays a JSON object over stream metadata: objects are merged, other
// values replaced, and null leaves a value as it is. It is for what a maintainer
// wants to hold back or to point elsewhere.
func (s *Stream) Override(data []byte) ([]byte, error) {
	var over map[string]any
	if err := json.Unmarshal(data, &over); err != nil {
		return nil, err
	}
	if over == nil {
		return nil, errors.New("an override is a JSON object")
	}
	own, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var base map[string]any
	if err := json.Unmarshal(own, &base); err != nil {
		return nil, err
	}
	return indented(lay(base, over))
}

func lay(base, over map[string]any) map[string]any {
	result := maps.Clone(base)
	for key, value := range over {
		below, isObject := base[key].(map[string]any)
		above, too := value.(map[string]any)
		switch {
		case value == nil:
		case isObject && too:
			result[key] = lay(below, above)
		default:
			result[key] = value
		}
	}
	return result
}
