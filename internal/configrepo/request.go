package configrepo

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nestos/nosa-actions/internal/lock"
	"github.com/nestos/nosa-actions/internal/manifest"
	"github.com/nestos/nosa-actions/internal/rpmrepo"
)

// Request is what the config asks the solver for, under the given locks (nil:
// none).
func (c *Config) Request(locks *lock.File, strict bool) (rpmrepo.Request, error) {
	if strict && locks == nil {
		return rpmrepo.Request{}, errors.New("--strict needs a lockfile; make one with nosa fetch --update-lockfile")
	}
	repos, err := c.EnabledRepos(locks != nil)
	if err != nil {
		return rpmrepo.Request{}, err
	}
	m := c.Manifest
	req := rpmrepo.Request{
		Repos: c.Repos, Enable: repos, BaseArch: c.Arch.RPM, Release: m.Releasever, Vars: m.RepoVars, Platform: m.PlatformModule,
		Recommend: m.Recommends, Strict: strict, Locks: map[string]rpmrepo.Lock{},
	}
	for _, p := range m.Packages {
		req.Install = append(req.Install, rpmrepo.Wanted{Spec: p.Name, Pos: p.Pos})
	}
	for _, group := range m.RepoPackages {
		for _, p := range group.Packages {
			req.Install = append(req.Install, rpmrepo.Wanted{Spec: p.Name, Repo: group.Repo, Pos: p.Pos})
		}
	}
	for _, p := range m.ExcludePackages {
		req.Exclude = append(req.Exclude, p.Name)
	}
	if locks == nil {
		return req, nil
	}
	for _, repo := range m.LockfileRepos {
		req.LockfileRepos = append(req.LockfileRepos, repo.Value)
	}
	for name, p := range locks.Packages {
		exact, err := p.Exact()
		if err != nil {
			return req, fmt.Errorf("%s: %w", p.Pos, err)
		}
		req.Locks[name] = rpmrepo.Lock{Version: solverVersion(exact), Digest: p.Digest}
	}
	return req, nil
}

// solverVersion is E:V-R or E:V-R.A, the epoch always there.
func solverVersion(e lock.EVRA) string {
	version := fmt.Sprintf("%d:%s-%s", e.Epoch, e.Version, e.Release)
	if e.Arch != "" {
		version += "." + e.Arch
	}
	return version
}

// PackagesDigest is a digest of what decides about the packages: when it is the
// same, packages fetched before are still those that the config asks for.
func (c *Config) PackagesDigest() (string, error) {
	m := c.Manifest
	text, err := json.Marshal([]any{
		names(m.Packages), repoPackages(m), names(m.ExcludePackages), m.Recommends,
		m.Releasever, m.RepoVars, m.PlatformModule, values(m.Repos), values(m.LockfileRepos), c.Arch.RPM,
	})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

func names(packages []manifest.Package) []string {
	list := make([]string, len(packages))
	for i, p := range packages {
		list[i] = p.Name
	}
	return list
}

func values(items []manifest.Item) []string {
	list := make([]string, len(items))
	for i, item := range items {
		list[i] = item.Value
	}
	return list
}

func repoPackages(m *manifest.Manifest) [][]string {
	list := make([][]string, len(m.RepoPackages))
	for i, group := range m.RepoPackages {
		list[i] = append([]string{group.Repo}, names(group.Packages)...)
	}
	return list
}
