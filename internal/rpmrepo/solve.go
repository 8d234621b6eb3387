package rpmrepo

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

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
	Spec string   // name, provide, file path or NEVRA
	Repo string   // only from this repository; empty: from any
	Pos  diag.Pos // the line of the config that asks for it
}

// Request says what to solve.
type Request struct {
	Repos     *Set
	Enable    []string // ids; each must be in Repos
	BaseArch  string   // rpm base architecture
	Release   string   // $releasever, may be empty
	Install   []Wanted
	Exclude   []string // names that the solver must not see
	Recommend bool     // install weak dependencies

	// Locks maps a name to the only version of it that may be installed, as
	// E:V-R or E:V-R.A.
	Locks map[string]string
	// LockfileRepos are repositories of which only locked packages are seen.
	LockfileRepos []string
	// Strict hides every package that is not locked.
	Strict bool

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

// EVRA is epoch:version-release.arch, as lockfiles write it.
func (p Package) EVRA() string {
	return fmt.Sprintf("%s:%s-%s.%s", p.Epoch, p.Version, p.Release, p.Arch)
}

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
	// UnmatchedLocks are locks that no repository could fulfil, "NAME EVR".
	UnmatchedLocks []string `json:"-"`
}

type solveRequest struct {
	InstallRoot   string            `json:"installroot"`
	CacheDir      string            `json:"cachedir"`
	ReposDir      string            `json:"reposdir"`
	PkgDir        string            `json:"pkgdir"`
	BaseArch      string            `json:"basearch"`
	ReleaseVer    string            `json:"releasever"`
	Repos         []string          `json:"repos"`
	Optional      []string          `json:"optional"`
	Weak          bool              `json:"weak"`
	Install       []solveItem       `json:"install"`
	Exclude       []string          `json:"exclude"`
	Locks         map[string]string `json:"locks"`
	LockfileRepos []string          `json:"lockfile_repos"`
	Strict        bool              `json:"strict"`
	Download      bool              `json:"download"`
}

type solveItem struct {
	Spec string `json:"spec"`
	Repo string `json:"repo,omitempty"`
}

type solveAnswer struct {
	Packages []struct {
		Package
		Path string `json:"path"`
	} `json:"packages"`
	Missing []struct {
		Spec string `json:"spec"`
		Why  string `json:"why"`
	} `json:"missing"`
	Problem        string           `json:"problem"` // no set of packages satisfies all
	Failure        string           `json:"failure"` // metadata or files cannot be had
	UnmatchedLocks []string         `json:"unmatched_locks"`
	Unsigned       []string         `json:"unsigned"`
	Repos          map[string]int64 `json:"repos"`
}

// Solve finds the exact packages for a request and, unless it is a dry run,
// brings their files into the package directory and verifies each against the
// checksum of the repository. Packages that no repository has are findings at
// the lines that ask for them.
func Solve(ctx context.Context, r tool.Runner, req Request) (*Solution, error) {
	ask, err := req.prepare()
	if err != nil {
		return nil, err
	}
	input, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	out, err := r.Run(ctx, tool.Cmd{
		Name: python, Args: []string{"-c", solveProgram},
		Stdin: bytes.NewReader(input), Stderr: req.Progress,
	})
	if err != nil {
		return nil, fmt.Errorf("solve packages with dnf: %w", err)
	}
	var answer solveAnswer
	if err := json.Unmarshal(out, &answer); err != nil {
		return nil, fmt.Errorf("solve packages with dnf: unreadable answer: %w", err)
	}
	if err := answer.err(req); err != nil {
		return nil, err
	}
	solution := &Solution{Repos: answer.Repos, UnmatchedLocks: answer.UnmatchedLocks}
	paths := make([]string, len(answer.Packages))
	for i, p := range answer.Packages {
		p.File = filepath.Base(p.Path)
		solution.Packages = append(solution.Packages, p.Package)
		paths[i] = p.Path
	}
	if req.DryRun {
		return solution, nil
	}
	return solution, bring(ctx, solution.Packages, paths, req.Packages)
}

// prepare lays out the scratch directory and translates the request.
func (req Request) prepare() (*solveRequest, error) {
	reposDir := filepath.Join(req.Scratch, "repos")
	if err := req.Repos.CopyTo(reposDir); err != nil {
		return nil, err
	}
	root := filepath.Join(req.Scratch, "root")
	for _, dir := range []string{root, req.Cache, req.Packages} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	ask := &solveRequest{
		InstallRoot: root, CacheDir: req.Cache, ReposDir: reposDir, PkgDir: req.Packages,
		BaseArch: req.BaseArch, ReleaseVer: req.Release, Repos: req.Enable, Weak: req.Recommend,
		Exclude: req.Exclude, Locks: req.Locks, LockfileRepos: req.LockfileRepos,
		Strict: req.Strict, Download: !req.DryRun,
		Install: []solveItem{}, Optional: []string{},
	}
	for _, id := range req.Enable {
		if repo := req.Repos.Find(id); repo != nil && repo.Optional {
			ask.Optional = append(ask.Optional, id)
		}
	}
	for _, w := range req.Install {
		ask.Install = append(ask.Install, solveItem{Spec: w.Spec, Repo: w.Repo})
	}
	for _, list := range []*[]string{&ask.Repos, &ask.Exclude, &ask.LockfileRepos} {
		if *list == nil {
			*list = []string{} // Python reads null as None
		}
	}
	if ask.Locks == nil {
		ask.Locks = map[string]string{}
	}
	return ask, nil
}

// err turns what dnf could not do into words for the author of the config.
func (a *solveAnswer) err(req Request) error {
	if a.Failure != "" {
		return fmt.Errorf("get packages: %s", strings.Join(strings.Fields(a.Failure), " "))
	}
	if a.Problem != "" {
		return fmt.Errorf("the packages do not fit together: %s", strings.Join(strings.Fields(a.Problem), " "))
	}
	if len(a.Unsigned) > 0 {
		return fmt.Errorf("signatures do not verify: %s", strings.Join(a.Unsigned, "; "))
	}
	var found diag.List
	for _, missing := range a.Missing {
		at := slices.IndexFunc(req.Install, func(w Wanted) bool { return w.Spec == missing.Spec })
		found.Add(diag.Finding{
			Pos:     req.Install[at].Pos,
			Message: fmt.Sprintf("package %q is in none of the repositories %s", missing.Spec, strings.Join(req.Enable, ", ")),
			Mend:    mendMissing(missing.Spec, req),
		})
	}
	if err := found.Err(); err != nil {
		return err
	}
	if len(a.Packages) == 0 {
		return fmt.Errorf("nothing to install; the manifest lists no packages")
	}
	return nil
}

func mendMissing(spec string, req Request) string {
	switch {
	case slices.Contains(req.Exclude, spec):
		return "it is in exclude-packages; take it out of one of the two lists"
	case req.Locks[spec] != "":
		return fmt.Sprintf("the lockfile wants version %s, which may be gone; run fetch --update-lockfile", req.Locks[spec])
	case req.Strict:
		return "with --strict only locked packages are seen; run fetch --update-lockfile"
	}
	return ""
}
