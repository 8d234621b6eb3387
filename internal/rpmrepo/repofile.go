// Package rpmrepo reads the .repo files of a config repo, and solves and
// downloads packages from the repositories they name. Solving is dnf's business;
// what comes out is an exact list of verified files.
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

// Repo is one section of a .repo file.
type Repo struct {
	ID       string
	Pos      diag.Pos // of its section line
	Enabled  bool
	Optional bool // skip_if_unavailable
	URLs     []string
}

// File is one .repo file, in the INI dialect of yum and dnf.
type File struct {
	Path  string
	Repos []Repo
}

// maxRepoFile bounds a .repo file, in bytes; real ones have a few hundred.
const maxRepoFile = 1 << 20

// ReadFile reads a .repo file. Faults in it are findings.
func ReadFile(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxRepoFile {
		return nil, fmt.Errorf("%s: larger than %d bytes; this is no .repo file", path, maxRepoFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parse(path, string(text))
}

// parse reads sections "[id]" and lines "key = value"; a line that begins with
// a blank continues the value before it.
func parse(path, text string) (*File, error) {
	var found diag.List
	file := &File{Path: path}
	var repo *Repo
	var lastKey string
	number := 0
	for line := range strings.Lines(text) {
		number++
		pos := diag.Pos{File: path, Line: number, Column: 1}
		line = strings.TrimRight(line, "\r\n")
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
		case trimmed[0] == '[' && trimmed[len(trimmed)-1] == ']':
			file.Repos = append(file.Repos, Repo{ID: strings.TrimSpace(trimmed[1 : len(trimmed)-1]), Pos: pos, Enabled: true})
			repo, lastKey = &file.Repos[len(file.Repos)-1], ""
		case repo == nil:
			found.Add(diag.Finding{Pos: pos, Message: fmt.Sprintf("%q stands before any section", trimmed), Mend: "begin with a line [id]"})
		case (line[0] == ' ' || line[0] == '\t') && lastKey != "":
			repo.set(lastKey, trimmed)
		default:
			key, value, ok := strings.Cut(trimmed, "=")
			if !ok {
				found.Addf(pos, "%q is neither a section nor key=value", trimmed)
				continue
			}
			lastKey = strings.TrimSpace(key)
			if !repo.set(lastKey, strings.TrimSpace(value)) {
				found.Addf(pos, "%s=%s is not a truth value; use 0 or 1", lastKey, strings.TrimSpace(value))
			}
		}
	}
	for _, r := range file.Repos {
		if len(r.URLs) == 0 && r.ID != "main" {
			found.Add(diag.Finding{Pos: r.Pos, Message: fmt.Sprintf("repository %q says no place to load from", r.ID), Mend: "add baseurl, metalink or mirrorlist"})
		}
	}
	return file, found.Err()
}

// set takes in one key and reports whether its value made sense.
func (r *Repo) set(key, value string) bool {
	switch key {
	case "baseurl", "metalink", "mirrorlist":
		r.URLs = append(r.URLs, strings.Fields(strings.ReplaceAll(value, ",", " "))...)
	case "enabled":
		return setBool(&r.Enabled, value)
	case "skip_if_unavailable":
		return setBool(&r.Optional, value)
	}
	return true
}

func setBool(to *bool, value string) bool {
	switch strings.ToLower(value) {
	case "1", "true", "yes", "on":
		*to = true
	case "0", "false", "no", "off":
		*to = false
	default:
		return false
	}
	return true
}

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
			if f.Repos[i].ID == id {
				return &f.Repos[i]
			}
		}
	}
	return nil
}

// Enabled lists the ids that say enabled=1, or say nothing, sorted.
func (s *Set) Enabled() []string {
	var ids []string
	for _, f := range s.Files {
		for _, r := range f.Repos {
			if r.Enabled && r.ID != "main" {
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
