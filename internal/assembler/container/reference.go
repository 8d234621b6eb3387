package container

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// Transport is where an image comes from.
type Transport string

// The transports of references.
const (
	Registry   Transport = "docker"      // host/name
	OCI        Transport = "oci"         // directory in the OCI image layout
	OCIArchive Transport = "oci-archive" // the same as a tar file
)

// Reference names an image exactly.
type Reference struct {
	Transport Transport
	Name      string        // host/name of a registry; path of the others
	Tag       string        // "" if there is none
	Digest    digest.Digest // "" if there is none; with one, the tag is for people
}

// ParseReference reads
//
//	host/name:tag
//	host/name@sha256:DIGEST
//	host/name:tag@sha256:DIGEST
//	oci-archive:PATH[:tag][@sha256:DIGEST]
//	oci:PATH[:tag][@sha256:DIGEST]
//
// A name without a host is refused: what it means depends on the machine. So is
// one with neither tag nor digest.
func ParseReference(text string) (Reference, error) {
	for _, t := range []Transport{OCIArchive, OCI} {
		if path, ok := strings.CutPrefix(text, string(t)+":"); ok {
			return parsePath(t, path)
		}
	}
	named, err := reference.Parse(strings.TrimPrefix(text, "docker://"))
	if err != nil {
		return Reference{}, fmt.Errorf("image %q: %w", text, err)
	}
	r := Reference{Transport: Registry}
	if n, ok := named.(reference.Named); ok {
		r.Name = n.Name()
	}
	host, _, _ := strings.Cut(r.Name, "/")
	if !strings.Contains(r.Name, "/") || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return Reference{}, fmt.Errorf("image %q names no registry; write it whole, such as registry.example.org/%s", text, text)
	}
	if t, ok := named.(reference.Tagged); ok {
		r.Tag = t.Tag()
	}
	if d, ok := named.(reference.Digested); ok {
		r.Digest = d.Digest()
	}
	if r.Tag == "" && r.Digest == "" {
		return Reference{}, fmt.Errorf("image %q has neither tag nor digest; add one, such as %s@sha256:…", text, text)
	}
	return r, nil
}

func parsePath(t Transport, text string) (Reference, error) {
	r := Reference{Transport: t, Name: text}
	if path, d, ok := strings.Cut(text, "@sha256:"); ok {
		r.Name, r.Digest = path, digest.Digest("sha256:"+d)
		if err := r.Digest.Validate(); err != nil {
			return Reference{}, fmt.Errorf("image %s:%s: %w", t, text, err)
		}
	}
	if i := strings.LastIndexByte(r.Name, ':'); i >= 0 {
		r.Name, r.Tag = r.Name[:i], r.Name[i+1:]
	}
	if r.Name == "" || strings.ContainsAny(r.Name, ":") {
		return Reference{}, fmt.Errorf("image %s:%s: the path is empty or has a colon", t, text)
	}
	path, err := filepath.Abs(r.Name)
	if err != nil {
		return Reference{}, err
	}
	r.Name = path
	return r, nil
}

// String is the reference as ParseReference reads it.
func (r Reference) String() string {
	text := r.Name
	if r.Transport != Registry {
		text = string(r.Transport) + ":" + text
	}
	if r.Tag != "" {
		text += ":" + r.Tag
	}
	if r.Digest != "" {
		text += "@" + r.Digest.String()
	}
	return text
}
