package rpmrepo

import (
	"maps"
	"os"
	"path/filepath"
)

// solveRequest is what the embedded program reads. No list is null: Python
// would read None.
type solveRequest struct {
	InstallRoot   string            `json:"installroot"`
	CacheDir      string            `json:"cachedir"`
	LogDir        string            `json:"logdir"`
	KeysDir       string            `json:"keysdir"`
	ReposDir      string            `json:"reposdir"`
	RepoDirs      map[string]string `json:"repo_dirs"` // id -> directory of its .repo file
	PkgDir        string            `json:"pkgdir"`
	BaseArch      string            `json:"basearch"`
	ReleaseVer    string            `json:"releasever"`
	Vars          map[string]string `json:"vars"`
	Platform      string            `json:"platform"`
	Repos         []string          `json:"repos"`
	Optional      []string          `json:"optional"`
	Weak          bool              `json:"weak"`
	Install       []solveItem       `json:"install"`
	Exclude       []string          `json:"exclude"`
	Locks         map[string]Lock   `json:"locks"`
	LockfileRepos []string          `json:"lockfile_repos"`
	Strict        bool              `json:"strict"`
	Files         []string          `json:"files"`     // packages that lie here already
	Overrides     []string          `json:"overrides"` // packages that replace all others of their names
	Download      bool              `json:"download"`
}

type solveItem struct {
	Spec string `json:"spec"`
	Repo string `json:"repo,omitempty"`
}

// prepare lays out the scratch directory and translates the request.
func (req Request) prepare() (*solveRequest, error) {
	ask := &solveRequest{
		InstallRoot: filepath.Join(req.Scratch, "root"), LogDir: filepath.Join(req.Scratch, "log"),
		KeysDir: filepath.Join(req.Scratch, "keys"), ReposDir: filepath.Join(req.Scratch, "repos"),
		CacheDir: req.Cache, PkgDir: req.Packages,
		BaseArch: req.BaseArch, ReleaseVer: req.Release, Vars: map[string]string{}, Platform: req.Platform, Weak: req.Recommend,
		Strict: req.Strict, Download: !req.DryRun,
		Repos: list(req.Enable), Exclude: list(req.Exclude), LockfileRepos: list(req.LockfileRepos),
		Overrides: list(req.Overrides), Files: []string{}, Optional: []string{}, Install: []solveItem{},
		Locks: req.Locks, RepoDirs: map[string]string{},
	}
	maps.Copy(ask.Vars, req.Vars)
	if ask.Locks == nil {
		ask.Locks = map[string]Lock{}
	}
	for _, dir := range []string{ask.InstallRoot, ask.LogDir, ask.KeysDir, ask.ReposDir, req.Cache, req.Packages} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	for _, id := range req.Enable {
		repo := req.Repos.Find(id)
		if repo == nil {
			continue
		}
		dir, err := filepath.Abs(filepath.Dir(repo.Pos.File))
		if err != nil {
			return nil, err
		}
		ask.RepoDirs[id] = dir
		if repo.Optional {
			ask.Optional = append(ask.Optional, id)
		}
	}
	for _, w := range req.Install {
		ask.Install = append(ask.Install, solveItem{Spec: w.Spec, Repo: w.Repo})
	}
	return ask, req.Repos.CopyTo(ask.ReposDir)
}

func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
