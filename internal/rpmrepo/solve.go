package rpmrepo

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/tool"
)

// dnf offers an exact answer only through its Python API: its command line
// prints tables for people. The program below is the whole of our use of it.
//
//go:embed solve.py
var solveProgram string

// python is the interpreter that distributions install dnf's modules for.
// Another one earlier in the PATH, as on hosted runners, does not see them.
const python = "/usr/bin/python3"

// Wanted is one thing to install.
type Wanted struct {
	Spec string   // name, provide, relation, file path or NEVRA
	Repo string   // only from this repository; empty: from any
	Pos  diag.Pos // the line of the config that asks for it
}

// Lock is the only build of a name that may be installed.
type Lock struct {
	Version string `json:"version"`          // E:V-R or E:V-R.A
	Digest  string `json:"digest,omitempty"` // ALGORITHM:HEX of the file; empty: any
}

// Request says what to solve.
type Request struct {
	Repos     *Set
	Enable    []string          // ids; each must be in Repos
	BaseArch  string            // rpm base architecture
	Release   string            // $releasever, may be empty
	Vars      map[string]string // further variables of .repo files
	Platform  string            // module platform, as "platform:el9"; may be empty
	Install   []Wanted
	Exclude   []string // names that the solver must not see
	Recommend bool     // install weak dependencies

	Locks map[string]Lock // by name
	// LockfileRepos are repositories of which only locked packages are seen.
	LockfileRepos []string
	// Strict hides every package that is not locked.
	Strict bool

	// Overrides are package files that take the place of every other package
	// of their name; of several with one name the newest counts.
	Overrides []string

	// Cache is the directory for repository metadata; Packages gets the files.
	Cache, Packages string
	// Scratch is an empty directory for the time of the call.
	Scratch string
	// DryRun solves without downloading.
	DryRun bool
	// Progress receives dnf's messages.
	Progress io.Writer
}

// Package is one package of a solution.
type Package struct {
	Name      string `json:"name"`
	Epoch     string `json:"epoch"` // "0" if there is none
	Version   string `json:"version"`
	Release   string `json:"release"`
	Arch      string `json:"arch"`
	Repo      string `json:"repo"`
	SourceRPM string `json:"sourcerpm"`
	BuildTime int64  `json:"buildtime"` // seconds since the epoch
	Size      int64  `json:"size"`      // of the file, bytes
	Checksum  string `json:"checksum"`  // ALGORITHM:HEX, from the repository's metadata
	File      string `json:"file"`      // base name in the package directory
}

// EVR is epoch:version-release; the epoch is always there.
func (p Package) EVR() string { return fmt.Sprintf("%s:%s-%s", p.Epoch, p.Version, p.Release) }

// EVRA is epoch:version-release.arch, as lockfiles write it.
func (p Package) EVRA() string { return p.EVR() + "." + p.Arch }

// NEVRA is name-[epoch:]version-release.arch, the epoch left out when 0.
func (p Package) NEVRA() string {
	if p.Epoch == "0" {
		return fmt.Sprintf("%s-%s-%s.%s", p.Name, p.Version, p.Release, p.Arch)
	}
	return fmt.Sprintf("%s-%s", p.Name, p.EVRA())
}

// Solution is what was solved: exact packages, sorted by name, and how old the
// repositories were.
type Solution struct {
	Packages []Package        `json:"packages"`
	Repos    map[string]int64 `json:"repos"` // id -> seconds since the epoch
	// Warnings are sentences on what was passed over: locks that no repository
	// could fulfil, repositories that could not be read.
	Warnings []string `json:"-"`
}

// Solve finds the exact packages for a request and, unless it is a dry run,
// brings their files into the package directory and verifies each against the
// checksum of the repository and, where it says gpgcheck, its keys. Packages
// that no repository has, and repositories that cannot be read, are findings at
// the lines that name them.
func Solve(ctx context.Context, r tool.Runner, req Request) (*Solution, error) {
	ask, err := req.prepare()
	if err != nil {
		return nil, err
	}
	if !req.DryRun {
		if err := weed(req.Packages); err != nil {
			return nil, err
		}
	}
	answer, err := ask.run(ctx, r, req.Progress)
	if err != nil {
		return nil, err
	}
	if err := answer.err(req); err != nil {
		return nil, err
	}
	solution := &Solution{Repos: answer.Repos, Warnings: answer.warnings(req)}
	paths := make([]string, len(answer.Packages))
	for i, p := range answer.Packages {
		p.File = filepath.Base(p.Path)
		solution.Packages = append(solution.Packages, p.Package)
		paths[i] = p.Path
	}
	if req.DryRun {
		return solution, nil
	}
	if err := adopt(solution.Packages, paths, req.Packages); err != nil {
		return nil, err
	}
	if err := bring(ctx, solution.Packages, paths, req.Packages); err != nil {
		return nil, err
	}
	return solution, checkSignatures(ctx, r, solution.Packages, answer.Keys, req)
}

// run asks dnf.
func (ask *solveRequest) run(ctx context.Context, r tool.Runner, progress io.Writer) (*solveAnswer, error) {
	input, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	out, err := r.Run(ctx, tool.Cmd{
		Name: python, Args: []string{"-c", solveProgram},
		Stdin: bytes.NewReader(input), Stderr: progress,
	})
	if err != nil {
		return nil, fmt.Errorf("solve packages with dnf: %w", err)
	}
	var answer solveAnswer
	if err := json.Unmarshal(out, &answer); err != nil {
		return nil, fmt.Errorf("solve packages with dnf: unreadable answer: %w", err)
	}
	return &answer, nil
}
