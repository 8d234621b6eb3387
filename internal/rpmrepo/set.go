package rpmrepo

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/diag"
)

// Set is all repositories that a config may draw from.
type Set struct {
	Files []*File
}

// Gather reads the .repo files at the top of each directory; of two files with
// one name the later directory's wins. None at all is an error: no package could
// come from anywhere.
func Gather(dirs ...string) (*Set, error) {
	byName := map[string]string{}
	for _, dir := range dirs {
		paths, err := filepath.Glob(filepath.Join(dir, "*.repo"))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			byName[filepath.Base(path)] = path
		}
	}
	if len(byName) == 0 {
		return nil, fmt.Errorf("no .repo file in %s; without one there is nowhere to get packages from", strings.Join(dirs, " or "))
	}
	set := &Set{}
	var found diag.List
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		file, err := ReadFile(byName[name])
		if err != nil {
			if findings := diag.Findings(err); findings != nil {
				found.Findings = append(found.Findings, findings...)
				continue
			}
			return nil, err
		}
		set.Files = append(set.Files, file)
	}
	return set, found.Err()
}

// Find returns the repository with this id, or nil.
func (s *Set) Find(id string) *Repo {
	for _, f := range s.Files {
		for i := range f.Repos {
			if f.Repos[i].ID == id && id != mainSection {
				return &f.Repos[i]
			}
		}
	}
	return nil
}

// IDs lists the ids of all repositories, sorted.
func (s *Set) IDs() []string { return s.ids(func(Repo) bool { return true }) }

// Enabled lists the ids that say enabled=1, or say nothing, sorted.
func (s *Set) Enabled() []string { return s.ids(func(r Repo) bool { return r.Enabled }) }

func (s *Set) ids(which func(Repo) bool) []string {
	var ids []string
	for _, f := range s.Files {
		for _, r := range f.Repos {
			if which(r) && r.ID != mainSection {
				ids = append(ids, r.ID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// CopyTo puts the files into dir, where dnf reads them.
func (s *Set) CopyTo(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, f := range s.Files {
		text, err := os.ReadFile(f.Path)
		if err != nil {
			return err
		}
		if err := atomicfile.Write(filepath.Join(dir, filepath.Base(f.Path)), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
