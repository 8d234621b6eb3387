package rpmrepo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/nestos/nosa-actions/internal/tool"
)

// OverridesRepo is the id of the repository that a developer's own packages
// count as, as in coreos-assembler.
const OverridesRepo = "coreos-assembler-local-overrides"

// fileRepo is dnf's name for packages that were given as files.
const fileRepo = "@commandline"

// Overrides lists the package files of a directory, which may be missing.
func Overrides(dir string) ([]string, error) { return filepath.Glob(filepath.Join(dir, "*.rpm")) }

// Override gives the packages of a compose in which overrides take the place of
// fetched packages of the same names. It is solved anew from the files of the
// cache and the overrides alone, so that a compose never needs the network; what
// an override needs beyond that has to be fetched first. Of the request it uses
// what to install, what to exclude, and the scratch directory.
func (f *Fetched) Override(ctx context.Context, r tool.Runner, req Request) (*Fetched, error) {
	known := map[string]Package{}
	req.Repos, req.Enable, req.Locks, req.LockfileRepos, req.Strict = &Set{}, nil, nil, nil, false
	req.Cache = filepath.Join(req.Scratch, "metadata")
	ask, err := req.prepare()
	if err != nil {
		return nil, err
	}
	for i := range ask.Install {
		ask.Install[i].Repo = "" // fetch has seen to it
	}
	for _, p := range slices.Concat(f.Packages, f.Extra) {
		path := filepath.Join(req.Packages, p.File)
		known[path] = p
		ask.Files = append(ask.Files, path)
	}
	answer, err := ask.run(ctx, r, req.Progress)
	if err == nil {
		err = answer.err(req)
	}
	if err != nil {
		return nil, fmt.Errorf("the packages in overrides/rpm: %w; run nosa fetch --with-cosa-overrides to get what they need", err)
	}
	result := &Fetched{PackagesDigest: f.PackagesDigest, Solution: Solution{Repos: f.Repos, Warnings: answer.warnings(req)}}
	var paths []string
	for _, p := range answer.Packages {
		if fetched, ok := known[p.Path]; ok {
			p.Package = fetched
		}
		result.Packages = append(result.Packages, p.Package)
		paths = append(paths, p.Path)
	}
	return result, adopt(result.Packages, paths, req.Packages)
}

// adopt copies the overrides among the packages into dir, under names that tell
// their content, and fills in where they come from: a developer may put another
// build of the same version in place at any time.
func adopt(packages []Package, paths []string, dir string) error {
	for i := range packages {
		p := &packages[i]
		if p.Repo != fileRepo {
			continue
		}
		sum, size, err := digestFile(paths[i])
		if err != nil {
			return err
		}
		p.Repo, p.Size, p.Checksum = OverridesRepo, size, "sha256:"+sum
		p.File = "override-" + sum[:16] + "-" + filepath.Base(paths[i])
		if p.Verify(dir) == nil {
			continue
		}
		if err := copyFile(paths[i], filepath.Join(dir, p.File)); err != nil {
			return fmt.Errorf("copy %s: %w", paths[i], err)
		}
		if err := p.Verify(dir); err != nil {
			return errors.Join(fmt.Errorf("%s changes while it is read: %w", paths[i], err), os.Remove(filepath.Join(dir, p.File)))
		}
	}
	return nil
}

func digestFile(path string) (sum string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// AddOverrideNeeds records what a solution with overrides takes from the
// repositories beyond the packages that are recorded already.
func (f *Fetched) AddOverrideNeeds(with *Solution) {
	for _, p := range with.Packages {
		if p.Repo != OverridesRepo && !slices.Contains(f.Packages, p) {
			f.Extra = append(f.Extra, p)
		}
	}
}
