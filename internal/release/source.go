package release

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// source is what one build of one architecture brings, from one work directory
// or several.
type source struct {
	arch   string // rpm name
	meta   *workdir.Meta
	builds []workdir.Build // the directories that it lies in
}

// path finds a file of the build; it lies where it is named if it is nowhere.
func (s *source) path(name string) string {
	for _, b := range s.builds {
		if info, err := os.Stat(b.Path(name)); err == nil && info.Mode().IsRegular() {
			return b.Path(name)
		}
	}
	return s.builds[0].Path(name)
}

// place is one work directory.
type place struct {
	dir   *workdir.Dir
	index workdir.Index
}

// find finds the build that is meant in the work directories, one source for
// each architecture, sorted.
func find(dirs []string, id string, arches []string) (string, []*source, error) {
	places, err := open(dirs)
	if err != nil {
		return "", nil, err
	}
	if id == "" || id == "latest" {
		if id, err = newest(places, arches); err != nil {
			return "", nil, err
		}
	}
	found := map[string]*source{}
	listed := map[string]bool{}
	for _, p := range places {
		entry, ok := p.index.Find(id)
		if !ok {
			return "", nil, refuse("%s has no build %s", "give work directories that all have it", p.dir.Path, id)
		}
		for _, a := range entry.Arches {
			listed[a] = true
		}
		builds, err := p.dir.Arches(id)
		if err != nil && !errors.Is(err, workdir.ErrNoBuild) {
			return "", nil, err
		}
		for _, b := range builds {
			if err := gather(found, b); err != nil {
				return "", nil, err
			}
		}
	}
	sources, err := wanted(found, listed, id, arches)
	return id, sources, err
}

func refuse(message, mend string, args ...any) error {
	var found diag.List
	found.Add(diag.Finding{Message: fmt.Sprintf(message, args...), Mend: mend})
	return found.Err()
}

func open(dirs []string) ([]place, error) {
	if len(dirs) == 0 {
		return nil, refuse("no work directory is given", "name at least one, as nosa init makes it")
	}
	host, err := arch.Host()
	if err != nil {
		return nil, err
	}
	var places []place
	for _, path := range dirs {
		if _, err := os.Stat(filepath.Join(path, "builds.json")); err == nil && filepath.Base(path) == "builds" {
			path = filepath.Dir(path) // the directory of the builds itself
		}
		if _, err := os.Stat(filepath.Join(path, "builds", "builds.json")); errors.Is(err, fs.ErrNotExist) {
			return nil, refuse("%s has no builds", "give a directory with builds/builds.json in it, as nosa makes it", path)
		}
		dir, err := workdir.Open(path, host)
		if err != nil {
			return nil, err
		}
		index, err := dir.Index()
		if err != nil {
			return nil, err
		}
		places = append(places, place{dir, index})
	}
	return places, nil
}

// newest is the build that is the newest one of every architecture.
func newest(places []place, arches []string) (string, error) {
	latest := map[string]string{}
	for _, p := range places {
		for _, e := range p.index.Builds {
			for _, a := range e.Arches {
				if len(arches) > 0 && !slices.Contains(arches, a) {
					continue
				}
				// Of a work directory the newest; of two directories they must agree.
				if own := p.index.Latest(a); latest[a] != "" && latest[a] != own {
					return "", refuse("the newest build of %s is %s in one work directory and %s in another", mendBuilds, a, latest[a], own)
				} else {
					latest[a] = own
				}
			}
		}
	}
	var said []string
	ids := map[string]bool{}
	for _, a := range slices.Sorted(maps.Keys(latest)) {
		said = append(said, a+": "+latest[a])
		ids[latest[a]] = true
	}
	switch len(ids) {
	case 0:
		return "", refuse("there is no build to release", "run nosa build first")
	case 1:
		return slices.Collect(maps.Keys(ids))[0], nil
	}
	return "", refuse("the architectures are of different builds: %s", mendBuilds, strings.Join(said, ", "))
}

const mendBuilds = "build all architectures with the same version, or say which build and architectures are meant"

// gather adds what one directory knows about a build.
func gather(found map[string]*source, b workdir.Build) error {
	m, err := b.View()
	if err != nil {
		return fmt.Errorf("build %s for %s: %w", b.ID, b.Arch.RPM, err)
	}
	if m.BuildID != b.ID || m.Basearch != "" && m.Basearch != b.Arch.RPM {
		return refuse("%s says that it is build %s for %s", "restore the file", b.Path("meta.json"), m.BuildID, m.Basearch)
	}
	have := found[b.Arch.RPM]
	if have == nil {
		found[b.Arch.RPM] = &source{arch: b.Arch.RPM, meta: m, builds: []workdir.Build{b}}
		return nil
	}
	have.builds = append(have.builds, b)
	if conflict := differs(have.meta, m); conflict != "" {
		return refuse("build %s for %s: two work directories have different metadata (%s)",
			"give images that were made from one and the same build", b.ID, b.Arch.RPM, conflict)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Images)) {
		if old, ok := have.meta.Images[name]; ok && old != m.Images[name] {
			return refuse("build %s for %s: two work directories have different images %s",
				"give the one that was tested", b.ID, b.Arch.RPM, name)
		}
		have.meta.SetImage(name, m.Images[name])
	}
	return nil
}

// differs names a property in which two records of one build and architecture
// contradict each other.
func differs(a, b *workdir.Meta) string {
	switch {
	case a.OSTreeCommit != b.OSTreeCommit:
		return "ostree-commit"
	case a.OSTreeContentChecksum != b.OSTreeContentChecksum:
		return "ostree-content-checksum"
	case a.ImageConfigChecksum != b.ImageConfigChecksum:
		return "coreos-assembler.image-config-checksum"
	}
	return differsAcross(a, b)
}

// differsAcross does so for records of two architectures.
func differsAcross(a, b *workdir.Meta) string {
	switch {
	case a.Name != b.Name:
		return "name"
	case a.OSTreeVersion != b.OSTreeVersion:
		return "ostree-version"
	case a.ConfigGit != nil && b.ConfigGit != nil && a.ConfigGit.Commit != b.ConfigGit.Commit:
		return "coreos-assembler.container-config-git"
	}
	return ""
}

// wanted are the sources of the architectures that are asked for, or of all, and
// they must be there and fit each other.
func wanted(found map[string]*source, listed map[string]bool, id string, arches []string) ([]*source, error) {
	if len(arches) == 0 {
		arches = slices.Collect(maps.Keys(listed))
	}
	var wrong diag.List
	var sources []*source
	for _, a := range slices.Sorted(slices.Values(arches)) {
		s := found[a]
		if s == nil {
			wrong.Add(diag.Finding{
				Message: fmt.Sprintf("build %s for %s is not here", id, a),
				Mend:    "add its work directory or artifact, or name the architectures to release",
			})
			continue
		}
		sources = append(sources, s)
		if conflict := differsAcross(sources[0].meta, s.meta); conflict != "" {
			wrong.Add(diag.Finding{
				Message: fmt.Sprintf("build %s for %s and for %s are different builds (%s)", id, sources[0].arch, a, conflict),
				Mend:    "build all architectures from the same commit of the config",
			})
		}
	}
	return sources, wrong.Err()
}
