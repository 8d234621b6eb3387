// Package lock reads and writes lockfiles, in the format of rpm-ostree: which
// version of each package a compose has to take.
package lock

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
)

// File is one lockfile, or several merged. The zero value is empty and ready
// to use.
type File struct {
	Packages map[string]Package `json:"packages"` // by name
	Metadata Metadata           `json:"metadata,omitzero"`
}

// Package is the version a name is locked to. Exactly one of EVRA and EVR is
// set.
type Package struct {
	EVRA     string         `json:"evra,omitempty"`   // [epoch:]version-release.arch
	EVR      string         `json:"evr,omitempty"`    // [epoch:]version-release, of whatever arch
	Digest   string         `json:"digest,omitempty"` // ALGORITHM:HEX of the rpm file, as sha256:...
	Metadata map[string]any `json:"metadata,omitempty"`
	Pos      diag.Pos       `json:"-"` // of the name in the file
}

// Metadata says when a lockfile was made, and of what.
type Metadata struct {
	Generated  time.Time       `json:"generated,omitzero"`
	RpmmdRepos map[string]Repo `json:"rpmmd_repos,omitempty"` // by repository id
}

// Repo is the state of a repository.
type Repo struct {
	Generated time.Time `json:"generated"` // of its metadata
}

// New is an empty lockfile generated at a time, of which the UTC day is kept,
// so that two runs on a day give the same file.
func New(generated time.Time) *File {
	return &File{Packages: map[string]Package{}, Metadata: Metadata{Generated: day(generated)}}
}

func day(t time.Time) time.Time {
	y, m, d := t.UTC().Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// Add locks a package to exactly one build of it. The digest may be empty.
func (f *File) Add(name string, evra EVRA, digest string) {
	if f.Packages == nil {
		f.Packages = map[string]Package{}
	}
	f.Packages[name] = Package{EVRA: evra.String(), Digest: digest}
}

// Merge takes over the packages of a later lockfile, which replace those of
// the same name, and what its metadata says.
func (f *File) Merge(later *File) {
	if f.Packages == nil {
		f.Packages = map[string]Package{}
	}
	maps.Copy(f.Packages, later.Packages)
	if !later.Metadata.Generated.IsZero() {
		f.Metadata.Generated = later.Metadata.Generated
	}
	if f.Metadata.RpmmdRepos == nil && len(later.Metadata.RpmmdRepos) > 0 {
		f.Metadata.RpmmdRepos = map[string]Repo{}
	}
	maps.Copy(f.Metadata.RpmmdRepos, later.Metadata.RpmmdRepos)
}

// WithoutDigests is a copy as a config repository keeps it: repositories may
// sign or compress a package anew without another version.
func (f *File) WithoutDigests() *File {
	bare := &File{Packages: make(map[string]Package, len(f.Packages)), Metadata: f.Metadata}
	for name, p := range f.Packages {
		p.Digest = ""
		bare.Packages[name] = p
	}
	return bare
}

// AnyArch is a copy that fits every architecture: entries of noarch packages
// stay, of the others only version and release are kept.
func (f *File) AnyArch() (*File, error) {
	fit := &File{Packages: make(map[string]Package, len(f.Packages)), Metadata: f.Metadata}
	for name, p := range f.Packages {
		if p.EVRA != "" {
			exact, err := ParseEVRA(p.EVRA)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.Pos, err)
			}
			if exact.Arch != "noarch" {
				exact.Arch = ""
				p = Package{EVR: exact.String(), Pos: p.Pos}
			}
		}
		fit.Packages[name] = p
	}
	return fit, nil
}

// Find returns the path of the lockfile called base plus .json or .yaml. It is
// an error if both exist; if neither does, found is false and path has the
// extension given.
func Find(base, otherwise string) (path string, found bool, err error) {
	for _, ext := range []string{".json", ".yaml"} {
		switch _, statErr := os.Stat(base + ext); {
		case errors.Is(statErr, fs.ErrNotExist):
		case statErr != nil:
			return "", false, statErr
		case found:
			return "", false, fmt.Errorf("both %s and %s exist; remove one", path, base+ext)
		default:
			path, found = base+ext, true
		}
	}
	if !found {
		path = base + otherwise
	}
	return path, found, nil
}

// Load reads a lockfile, YAML if it is called .yaml or .yml, else JSON. What is
// wrong with its content comes back as *diag.Errors with every finding.
func Load(path string) (*File, error) {
	n, err := document.Load(path)
	if err != nil {
		return nil, err
	}
	return decode(n)
}

// Parse reads a lockfile from memory; the name tells its syntax and stands in
// findings.
func Parse(name string, data []byte) (*File, error) {
	n, err := document.Parse(name, data)
	if err != nil {
		return nil, err
	}
	return decode(n)
}

// JSON is the lockfile indented, with names sorted.
func (f *File) JSON() ([]byte, error) {
	out := *f
	if out.Packages == nil {
		out.Packages = map[string]Package{}
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(out); err != nil {
		return nil, fmt.Errorf("write lockfile: %w", err)
	}
	return buf.Bytes(), nil
}

// Save writes the lockfile, as JSON whatever the name: YAML is a superset of
// it.
func (f *File) Save(path string) error {
	data, err := f.JSON()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(path, data, 0o644)
}
