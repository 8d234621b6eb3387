package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/boottime"
	"github.com/nestos/nosa-actions/internal/kola"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// recordsFile holds, beside a build, the starts of its images that were measured.
const recordsFile = "boot-records.json"

// Of a build, so many starts are kept, the newest ones; a run hands on so many
// builds, the newest ones too.
const (
	maxRecords = 40
	maxPast    = 10
)

// past is what is known of a build: how large its artifacts are, in bytes, and how
// long its images took to start.
type past struct {
	Build  string             `json:"build"`
	Commit string             `json:"ostree-commit,omitzero"`
	Sizes  map[string]int64   `json:"sizes,omitzero"`
	Starts []*boottime.Record `json:"starts,omitzero"`
}

// measures is the file by which a run tells another machine what it measured: the
// build that it tested, and those that this was compared with, the newest first.
type measures struct {
	Builds []past `json:"builds"`
}

// measured is what a run adds to what is known of starts and sizes.
type measured struct {
	starts  map[string]*boottime.Record   // by the directory of the guest
	earlier map[string][]*boottime.Record // starts before this build, by the kind of guest
	sizes   map[string]int64              // of the build's artifacts, bytes
	before  map[string]int64              // of the previous build's
	against string                        // id of the previous build; may be empty
}

// measure gathers the starts of a run, keeps them beside the build and among the
// results, and finds what they are compared with: those of the builds before, the
// newest first, and after those in the work directory those of other machines.
func measure(dir *workdir.Dir, t target, out string) (measured, error) {
	m := measured{earlier: map[string][]*boottime.Record{}}
	var err error
	if m.starts, err = kola.Boots(out); err != nil || dir == nil || t.build == "" {
		return m, err
	}
	build, err := dir.Build(t.build)
	if err != nil {
		return m, err
	}
	if err := keep(build, m.starts); err != nil {
		return m, err
	}
	this, err := pastOf(build)
	if err != nil {
		return m, err
	}
	before, err := builtBefore(dir, t)
	if err != nil {
		return m, err
	}
	m.sizes = this.Sizes
	for _, p := range before {
		m.compareWith(p)
	}
	all := append([]past{this}, before...)
	return m, measures{all[:min(len(all), maxPast)]}.save(filepath.Join(out, filepath.Base(workdir.MeasuresFile)))
}

// builtBefore are the builds before the one that is tested.
func builtBefore(dir *workdir.Dir, t target) ([]past, error) {
	index, err := dir.Index()
	if err != nil {
		return nil, err
	}
	var out []past
	reached := false
	for _, entry := range index.Builds {
		if reached && slices.Contains(entry.Arches, t.arch.RPM) {
			b, err := dir.Build(entry.ID)
			if err != nil {
				continue // it does not lie here
			}
			p, err := pastOf(b)
			if err != nil {
				return nil, err
			}
			out = append(out, p)
		}
		reached = reached || entry.ID == t.build
	}
	elsewhere, err := readMeasures(filepath.Join(dir.Path, workdir.MeasuresFile))
	if err != nil {
		return nil, err
	}
	here := slices.Clone(out)
	for _, p := range elsewhere.Builds {
		// Machines that know nothing of one another give their builds the same ids.
		known := func(q past) bool { return q.Build == p.Build && q.Commit == p.Commit }
		if !slices.ContainsFunc(here, known) {
			out = append(out, p)
		}
	}
	return out, nil
}

func pastOf(b workdir.Build) (past, error) {
	meta, err := b.View()
	if err != nil {
		return past{}, err
	}
	p := past{Build: b.ID, Commit: meta.OSTreeCommit, Sizes: map[string]int64{}}
	for name, image := range meta.Images {
		size := image.Size
		if image.UncompressedSize > 0 {
			size = image.UncompressedSize
		}
		if info, err := os.Stat(b.Path(image.Path)); size == 0 && err == nil {
			size = info.Size()
		}
		p.Sizes[name] = size
	}
	text, err := os.ReadFile(b.Path(recordsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		p.Starts, err = parseRecords(b, text)
	}
	return p, err
}

// compareWith takes what a build before knows. Starts of builds further back are
// taken only while there are too few to tell growth from noise.
func (m *measured) compareWith(p past) {
	if m.against == "" {
		m.before, m.against = p.Sizes, p.Build
	}
	enough := map[string]bool{}
	for kind, list := range m.earlier {
		enough[kind] = len(list) >= boottime.Enough
	}
	for _, r := range p.Starts {
		if r != nil && !enough[r.Machine] {
			m.earlier[r.Machine] = append(m.earlier[r.Machine], r)
		}
	}
}

func parseRecords(b workdir.Build, text []byte) ([]*boottime.Record, error) {
	var records []*boottime.Record
	if err := json.Unmarshal(text, &records); err != nil {
		return nil, fmt.Errorf("%s: %w; remove it to begin anew", b.Path(recordsFile), err)
	}
	return records, nil
}

// keep adds the starts to those that are known of the build.
func keep(b workdir.Build, starts map[string]*boottime.Record) error {
	if len(starts) == 0 {
		return nil
	}
	return b.Rewrite(recordsFile, func(old []byte) ([]byte, error) {
		var records []*boottime.Record
		if old != nil {
			var err error
			if records, err = parseRecords(b, old); err != nil {
				return nil, err
			}
		}
		for _, dir := range slices.Sorted(maps.Keys(starts)) {
			starts[dir].Build = b.ID
			records = append(records, starts[dir])
		}
		text, err := json.Marshal(records[max(0, len(records)-maxRecords):])
		return append(text, '\n'), err
	})
}

// readMeasures reads what another machine has left; a missing file tells nothing.
func readMeasures(path string) (measures, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return measures{}, nil
	}
	if err != nil {
		return measures{}, err
	}
	defer f.Close()
	var m measures
	text, err := io.ReadAll(io.LimitReader(f, workdir.MaxMeasures+1))
	switch {
	case err != nil:
		return m, err
	case len(text) > workdir.MaxMeasures:
		return m, fmt.Errorf("%s has more than %d bytes; remove it to begin anew", path, workdir.MaxMeasures)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("%s: %w; remove it to begin anew", path, err)
	}
	return m, nil
}

func (m measures) save(path string) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, append(text, '\n'), 0o644)
}
