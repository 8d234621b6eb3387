package workdir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/atomicfile"
)

// ErrNoBuild says that a build is not to be had: none was made, or not of this
// architecture, or it does not lie in this work directory.
var ErrNoBuild = errors.New("no such build")

const (
	indexName     = "builds.json"
	schemaVersion = "1.0.0"
)

// Index is the content of builds.json: the builds, newest first.
type Index struct {
	SchemaVersion string  `json:"schema-version"`
	Builds        []Entry `json:"builds"`
	Tags          []Tag   `json:"tags,omitzero"`
	// Timestamp is the time of the last insertion or prune, see Timestamp.
	Timestamp string `json:"timestamp,omitzero"`
}

// Entry is one build in the index.
type Entry struct {
	ID     string   `json:"id"`
	Arches []string `json:"arches"` // rpm names, in the order of their insertion
}

// Tag is a name for a build, which prune then keeps.
type Tag struct {
	Name        string `json:"name"`
	Created     string `json:"created"` // see Timestamp
	Target      string `json:"target"`  // build id, of a build that need not exist
	Description string `json:"description,omitzero"`
}

// Timestamp is a time as the records write it: UTC, YYYY-MM-DDTHH:MM:SSZ.
func Timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// parseTimestamp reads what Timestamp writes.
func parseTimestamp(s string) (time.Time, error) { return time.Parse(time.RFC3339, s) }

// parseIndex reads the content of a builds.json.
func parseIndex(data []byte) (Index, error) {
	var version struct {
		SchemaVersion string `json:"schema-version"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return Index{}, err
	}
	if version.SchemaVersion == "" {
		version.SchemaVersion = "0.0.1"
	}
	if major, _, _ := strings.Cut(version.SchemaVersion, "."); major != "1" {
		return Index{}, fmt.Errorf("schema version %s is not supported, only 1.x is", version.SchemaVersion)
	}
	var index Index
	if err := json.Unmarshal(data, &index); err != nil {
		return Index{}, err
	}
	return index, index.check()
}

func (x Index) check() error {
	seen := map[string]bool{}
	for _, e := range x.Builds {
		if err := checkID(e.ID); err != nil {
			return err
		}
		if seen[e.ID] {
			return fmt.Errorf("build %s is listed twice", e.ID)
		}
		seen[e.ID] = true
		for i, a := range e.Arches {
			if checkID(a) != nil || slices.Contains(e.Arches[:i], a) {
				return fmt.Errorf("build %s: bad or repeated architecture %q", e.ID, a)
			}
		}
	}
	for i, t := range x.Tags {
		if t.Name == "" || t.Target == "" {
			return fmt.Errorf("tag %d has no name or no target", i+1)
		}
		if slices.ContainsFunc(x.Tags[:i], func(o Tag) bool { return o.Name == t.Name }) {
			return fmt.Errorf("tag %s is listed twice", t.Name)
		}
	}
	return nil
}

// checkID refuses build ids that cannot be the name of a directory.
func checkID(id string) error {
	if id == "" || id[0] == '.' || id == "latest" || id == indexName || strings.ContainsAny(id, "/\x00\n") {
		return fmt.Errorf("%q cannot be a build id", id)
	}
	return nil
}

// JSON is the content of builds.json for x.
func (x Index) JSON() ([]byte, error) {
	if x.Builds == nil {
		x.Builds = []Entry{} // a list also when empty
	}
	return encode(x)
}

// Find returns the entry of a build.
func (x Index) Find(id string) (Entry, bool) {
	for _, e := range x.Builds {
		if e.ID == id {
			return e, true
		}
	}
	return Entry{}, false
}

// Latest is the id of the newest build of an architecture, or "".
func (x Index) Latest(rpmArch string) string {
	for _, e := range x.Builds {
		if slices.Contains(e.Arches, rpmArch) {
			return e.ID
		}
	}
	return ""
}

// Insert adds an architecture to a build, which comes to the front if it is new.
func (x *Index) Insert(id, rpmArch string) error {
	for i := range x.Builds {
		e := &x.Builds[i]
		if e.ID != id {
			continue
		}
		if slices.Contains(e.Arches, rpmArch) {
			return fmt.Errorf("build %s for %s is already in %s", id, rpmArch, indexName)
		}
		e.Arches = append(e.Arches, rpmArch)
		return nil
	}
	x.Builds = slices.Insert(x.Builds, 0, Entry{ID: id, Arches: []string{rpmArch}})
	return nil
}

func (d *Dir) indexPath() string { return filepath.Join(d.BuildsDir(), indexName) }

// Index reads builds.json; it is made, empty, if it is missing.
func (d *Dir) Index() (Index, error) {
	index, err := d.readIndex()
	if !errors.Is(err, fs.ErrNotExist) {
		return index, err
	}
	if err := d.UpdateIndex(func(*Index) error { return nil }); err != nil {
		return Index{}, err
	}
	return d.readIndex()
}

func (d *Dir) readIndex() (Index, error) {
	data, err := readRecord(d.indexPath())
	if err != nil {
		return Index{}, err
	}
	index, err := parseIndex(data)
	if err != nil {
		return Index{}, fmt.Errorf("%s: %w", d.indexPath(), err)
	}
	return index, nil
}

// UpdateIndex changes builds.json under its lock. The timestamp is the
// business of change: tags leave it alone.
func (d *Dir) UpdateIndex(change func(*Index) error) error {
	release, err := lock(d.indexPath())
	if err != nil {
		return err
	}
	defer release()
	return d.updateIndexLocked(change)
}

func (d *Dir) updateIndexLocked(change func(*Index) error) error {
	index, err := d.readIndex()
	if errors.Is(err, fs.ErrNotExist) {
		index, err = Index{SchemaVersion: schemaVersion}, nil
	}
	if err != nil {
		return err
	}
	if err := change(&index); err != nil {
		return err
	}
	if err := index.check(); err != nil {
		return err
	}
	data, err := index.JSON()
	if err != nil {
		return err
	}
	return atomicfile.Write(d.indexPath(), data, 0o644)
}

// Latest is the newest build of this architecture; ErrNoBuild if there is none.
func (d *Dir) Latest() (Build, error) { return d.Build("") }

// Build finds a build of this architecture by its id; "" and "latest" mean the
// newest one. The error is ErrNoBuild if it is not in the index or its directory
// is missing.
func (d *Dir) Build(id string) (Build, error) {
	index, err := d.Index()
	if err != nil {
		return Build{}, err
	}
	if id == "" || id == "latest" {
		if id = index.Latest(d.Arch.RPM); id == "" {
			return Build{}, fmt.Errorf("there is no build for %s yet: %w", d.Arch, ErrNoBuild)
		}
	}
	e, ok := index.Find(id)
	if !ok {
		return Build{}, fmt.Errorf("build %s: %w", id, ErrNoBuild)
	}
	if !slices.Contains(e.Arches, d.Arch.RPM) {
		return Build{}, fmt.Errorf("build %s for %s: %w", id, d.Arch, ErrNoBuild)
	}
	b := d.build(id, d.Arch)
	if !b.local() {
		return Build{}, fmt.Errorf("build %s for %s is listed in %s but not here: %w", id, d.Arch, indexName, ErrNoBuild)
	}
	return b, nil
}

// Arches finds the builds of an id for all architectures that lie here.
func (d *Dir) Arches(id string) ([]Build, error) {
	index, err := d.Index()
	if err != nil {
		return nil, err
	}
	if (id == "" || id == "latest") && len(index.Builds) > 0 {
		id = index.Builds[0].ID
	}
	e, ok := index.Find(id)
	if !ok {
		return nil, fmt.Errorf("build %s: %w", id, ErrNoBuild)
	}
	var builds []Build
	for _, name := range e.Arches {
		a, err := arch.Parse(name)
		if err != nil {
			a = arch.Arch{RPM: name} // listed by a pipeline for another machine
		}
		if b := d.build(id, a); b.local() {
			builds = append(builds, b)
		}
	}
	if len(builds) == 0 {
		return nil, fmt.Errorf("build %s is listed in %s but not here: %w", id, indexName, ErrNoBuild)
	}
	return builds, nil
}

func (d *Dir) build(id string, a arch.Arch) Build {
	return Build{
		ID:             id,
		Arch:           a,
		Dir:            filepath.Join(d.BuildsDir(), id, a.RPM),
		skipValidation: d.SkipValidation,
	}
}
