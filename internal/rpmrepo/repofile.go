// Package rpmrepo reads the .repo files of a config repo, and solves and
// downloads packages from the repositories they name. Solving is dnf's business;
// what comes out is an exact list of verified files.
package rpmrepo

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/nestos/nosa-actions/internal/diag"
)

// Repo is one section of a .repo file, as far as we have to know it; dnf reads
// the same text.
type Repo struct {
	ID       string
	Pos      diag.Pos // of its section line
	Enabled  bool
	Optional bool // skip_if_unavailable
	GPGCheck bool // packages have to be signed with a key of gpgkey
	URLs     []string
}

// File is one .repo file, in the INI dialect of yum and dnf.
type File struct {
	Path  string
	Repos []Repo
}

// mainSection may hold options of dnf itself; it is no repository.
const mainSection = "main"

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
	p := parser{file: &File{Path: path}}
	number := 0
	for line := range strings.Lines(text) {
		number++
		p.line(diag.Pos{File: path, Line: number, Column: 1}, strings.TrimRight(line, "\r\n"))
	}
	for _, r := range p.file.Repos {
		if len(r.URLs) == 0 && r.ID != mainSection {
			p.found.Add(diag.Finding{Pos: r.Pos, Message: fmt.Sprintf("repository %q says no place to load from", r.ID), Mend: "add baseurl, metalink or mirrorlist"})
		}
	}
	return p.file, p.found.Err()
}

type parser struct {
	file    *File
	found   diag.List
	repo    *Repo  // of the section that is being read
	lastKey string // what an indented line continues
}

func (p *parser) line(pos diag.Pos, line string) {
	trimmed := strings.TrimSpace(line)
	switch {
	case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
	case trimmed[0] == '[' && trimmed[len(trimmed)-1] == ']':
		p.section(pos, strings.TrimSpace(trimmed[1:len(trimmed)-1]))
	case p.repo == nil:
		p.found.Add(diag.Finding{Pos: pos, Message: fmt.Sprintf("%q stands before any section", trimmed), Mend: "begin with a line [id]"})
	case (line[0] == ' ' || line[0] == '\t') && p.lastKey != "":
		p.set(pos, p.lastKey, trimmed)
	default:
		key, value, ok := strings.Cut(trimmed, "=")
		if !ok {
			p.found.Addf(pos, "%q is neither a section nor key=value", trimmed)
			return
		}
		p.lastKey = strings.TrimSpace(key)
		p.set(pos, p.lastKey, strings.TrimSpace(value))
	}
}

func (p *parser) section(pos diag.Pos, id string) {
	if id == "" || strings.ContainsAny(id, "/ \t") {
		p.found.Add(diag.Finding{Pos: pos, Message: fmt.Sprintf("%q is no id of a repository", id), Mend: "use letters, digits and -_.:"})
	}
	p.file.Repos = append(p.file.Repos, Repo{ID: id, Pos: pos, Enabled: true})
	p.repo, p.lastKey = &p.file.Repos[len(p.file.Repos)-1], ""
}

// set takes in one key. Keys that only dnf has to understand are checked where
// dnf would fall back to a default in silence.
func (p *parser) set(pos diag.Pos, key, value string) {
	var ignored bool
	switch key {
	case "baseurl", "metalink", "mirrorlist":
		p.repo.URLs = append(p.repo.URLs, strings.Fields(strings.ReplaceAll(value, ",", " "))...)
	case "enabled":
		p.truth(pos, key, value, &p.repo.Enabled)
	case "skip_if_unavailable":
		p.truth(pos, key, value, &p.repo.Optional)
	case "gpgcheck":
		p.truth(pos, key, value, &p.repo.GPGCheck)
	case "repo_gpgcheck", "module_hotfixes", "sslverify":
		p.truth(pos, key, value, &ignored)
	case "priority", "cost":
		if n, err := strconv.Atoi(value); err != nil || n < 0 {
			p.found.Addf(pos, "%s=%s is no number of 0 or more", key, value)
		}
	}
}

func (p *parser) truth(pos diag.Pos, key, value string, to *bool) {
	switch strings.ToLower(value) {
	case "1", "true", "yes", "on":
		*to = true
	case "0", "false", "no", "off":
		*to = false
	default:
		p.found.Addf(pos, "%s=%s is not a truth value; use 0 or 1", key, value)
	}
}
