package workdir

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Meta is the content of meta.json: what is known about one build of one
// architecture. Keys that stay zero are not written; an empty list that is not
// nil is. A Meta read from a build carries its Stamp, by which a later Merge
// sees what others have written in between.
type Meta struct {
	BuildID string `json:"buildid,omitzero"`
	Name    string `json:"name,omitzero"`    // rojig.name of the manifest
	Summary string `json:"summary,omitzero"` // rojig.summary
	Ref     string `json:"ref,omitzero"`     // ostree ref; "" if the manifest has none

	OSTreeCommit          string `json:"ostree-commit,omitzero"`           // sha256, hex
	OSTreeContentChecksum string `json:"ostree-content-checksum,omitzero"` // independent of metadata and time
	OSTreeTimestamp       string `json:"ostree-timestamp,omitzero"`        // UTC, see Timestamp
	OSTreeVersion         string `json:"ostree-version,omitzero"`
	InputHash             string `json:"rpm-ostree-inputhash,omitzero"` // of all that goes into the compose

	// Statistics of the commit's transaction.
	MetadataTotal       *int64 `json:"ostree-n-metadata-total,omitzero"`
	MetadataWritten     *int64 `json:"ostree-n-metadata-written,omitzero"`
	ContentTotal        *int64 `json:"ostree-n-content-total,omitzero"`
	ContentWritten      *int64 `json:"ostree-n-content-written,omitzero"`
	CacheHits           *int64 `json:"ostree-n-cache-hits,omitzero"`
	ContentBytesWritten *int64 `json:"ostree-content-bytes-written,omitzero"`

	PkgDiff              []json.RawMessage `json:"pkgdiff,omitzero"` // [name, type, details] each
	AdvisoriesDiff       []json.RawMessage `json:"advisories-diff,omitzero"`
	ParentPkgDiff        []json.RawMessage `json:"parent-pkgdiff,omitzero"`
	ParentAdvisoriesDiff []json.RawMessage `json:"parent-advisories-diff,omitzero"`

	Images map[string]Image `json:"images,omitzero"`

	Basearch            string `json:"coreos-assembler.basearch,omitzero"`
	BuildTimestamp      string `json:"coreos-assembler.build-timestamp,omitzero"`
	CodeSource          string `json:"coreos-assembler.code-source,omitzero"`   // container, bind mount
	ConfigGitrev        string `json:"coreos-assembler.config-gitrev,omitzero"` // git describe
	ConfigDirty         string `json:"coreos-assembler.config-dirty,omitzero"`  // "true", "false"
	ConfigVariant       string `json:"coreos-assembler.config-variant,omitzero"`
	ConfigGit           *Git   `json:"coreos-assembler.container-config-git,omitzero"`
	ImageGit            *Git   `json:"coreos-assembler.container-image-git,omitzero"` // of the tool itself
	YumReposGit         *Git   `json:"coreos-assembler.yumrepos-git,omitzero"`
	ImageConfigChecksum string `json:"coreos-assembler.image-config-checksum,omitzero"` // of image.json
	ImageInputChecksum  string `json:"coreos-assembler.image-input-checksum,omitzero"`
	ImageGenver         *int   `json:"coreos-assembler.image-genver,omitzero"`
	DelayedMetaMerge    *bool  `json:"coreos-assembler.delayed-meta-merge,omitzero"`
	OverridesActive     bool   `json:"coreos-assembler.overrides-active,omitzero"`
	// Stamp is the time of the last write in nanoseconds since 1970.
	Stamp int64 `json:"coreos-assembler.meta-stamp,omitzero"`

	BaseOSContainer *Container `json:"base-oscontainer,omitzero"`

	// Extra holds the keys that the schema knows and this program has no use
	// for, such as those of cloud uploads.
	Extra map[string]json.RawMessage `json:"-"`
}

// Image is one artifact of a build, a file in the build's directory.
type Image struct {
	Path   string `json:"path"`          // file name
	SHA256 string `json:"sha256"`        // of the file as it lies there, hex
	Size   int64  `json:"size,omitzero"` // bytes; 0: not recorded, as for the live artifacts

	UncompressedSHA256 string `json:"uncompressed-sha256,omitzero"` // only while compressed
	UncompressedSize   int64  `json:"uncompressed-size,omitzero"`
	SkipCompression    bool   `json:"skip-compression,omitzero"` // compress leaves it alone
}

// Git says where a source tree comes from.
type Git struct {
	Commit string `json:"commit"`
	Origin string `json:"origin"`          // URL, or "unknown"
	Branch string `json:"branch,omitzero"` // "HEAD" when detached or shallow
	Dirty  string `json:"dirty,omitzero"`  // "true", "false"
}

// Container is an image in a registry.
type Container struct {
	Image   string   `json:"image"`
	Digest  string   `json:"digest,omitzero"`
	Tags    []string `json:"tags,omitzero"`
	Comment string   `json:"comment,omitzero"`
}

// Delayed tells whether stages write beside meta.json, for a later Finalize.
func (m *Meta) Delayed() bool { return m.DelayedMetaMerge != nil && *m.DelayedMetaMerge }

// SetImage enters an artifact.
func (m *Meta) SetImage(name string, image Image) {
	if m.Images == nil {
		m.Images = map[string]Image{}
	}
	m.Images[name] = image
}

// JSON is the content of meta.json for m.
func (m *Meta) JSON() ([]byte, error) {
	object, err := m.object()
	if err != nil {
		return nil, err
	}
	return encode(object)
}

// typedKeys are the top-level keys that have a field in Meta.
var typedKeys = func() map[string]bool {
	keys := map[string]bool{}
	for field := range reflect.TypeFor[Meta]().Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "-" {
			keys[name] = true
		}
	}
	return keys
}()

// object is m as plain JSON values.
func (m *Meta) object() (map[string]any, error) {
	data, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	object, err := decodeObject(data)
	if err != nil {
		return nil, err
	}
	for key, raw := range m.Extra {
		if object[key], err = DecodeValue(raw); err != nil {
			return nil, fmt.Errorf("meta key %s: %w", key, err)
		}
	}
	return object, nil
}

func fromObject(object map[string]any, file string) (*Meta, error) {
	m := &Meta{}
	if err := convert(object, m); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for key, value := range object {
		if typedKeys[key] {
			continue
		}
		raw, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		if m.Extra == nil {
			m.Extra = map[string]json.RawMessage{}
		}
		m.Extra[key] = raw
	}
	return m, nil
}
