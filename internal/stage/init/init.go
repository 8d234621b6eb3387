// Package init is the stage that makes a work directory for a config
// repository.
package init

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// Options say what to make.
type Options struct {
	Dir       string // the work directory
	Config    string // URL, or absolute path, of the config repository; required
	Subdir    string // directory in it that holds the config
	Branch    string // of a URL; empty: its default
	Commit    string // of a URL; empty: the branch's newest
	Variant   string // manifest-VARIANT.yaml instead of manifest.yaml
	YumRepos  string // URL or absolute path of a repository with further .repo files
	YumBranch string
	Force     bool // also in a directory that is not empty
	Transient bool // the work is thrown away later: do not flush to the disk
}

// Run makes the work directory. A config that is there already stays as it is.
func Run(ctx context.Context, r tool.Runner, log *progress.Log, o Options) (*workdir.Dir, error) {
	if o.Config == "" {
		return nil, errors.New("say where the config repository is: nosa init GITCONFIG")
	}
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		return nil, err
	}
	if len(entries) > 0 && !o.Force && !filepath.IsAbs(o.Config) {
		return nil, fmt.Errorf("%s is not empty; use an empty directory, or --force", o.Dir)
	}
	host, err := arch.Host()
	if err != nil {
		return nil, err
	}
	src := filepath.Join(o.Dir, "src")
	if err := os.MkdirAll(src, 0o755); err != nil {
		return nil, err
	}
	made, err := link(ctx, r, log, src, o)
	if err == nil {
		err = check(filepath.Join(src, "config"), o.Variant)
	}
	if err != nil {
		for _, path := range made { // or the next init would keep them
			_ = os.RemoveAll(path)
		}
		return nil, err
	}
	dir, err := workdir.Create(o.Dir, host)
	if err != nil {
		return nil, err
	}
	if o.Transient {
		if err := dir.SetTransient(); err != nil {
			return nil, err
		}
	}
	return dir, dir.SetVariant(o.Variant)
}

// link puts the config, and the second repository, into src/ and says what it
// made.
func link(ctx context.Context, r tool.Runner, log *progress.Log, src string, o Options) (made []string, err error) {
	config := filepath.Join(src, "config")
	if _, err := os.Lstat(config); errors.Is(err, os.ErrNotExist) {
		made = append(made, config, config+"-git")
		if err := source(ctx, r, log, config, o.Config, o.Subdir, o.Branch, o.Commit); err != nil {
			return made, err
		}
	}
	if o.YumRepos == "" {
		return made, nil
	}
	yumrepos := filepath.Join(src, "yumrepos")
	if _, err := os.Lstat(yumrepos); err == nil {
		return made, fmt.Errorf("%s is there already; remove it to use %s", yumrepos, o.YumRepos)
	}
	return append(made, yumrepos), source(ctx, r, log, yumrepos, o.YumRepos, "", o.YumBranch, "")
}

// source makes path a link to an absolute path or a clone of a URL.
func source(ctx context.Context, r tool.Runner, log *progress.Log, path, from, subdir, branch, commit string) error {
	if filepath.IsAbs(from) {
		target := filepath.Join(from, subdir)
		if info, err := os.Stat(target); err != nil {
			return fmt.Errorf("config repository: %w", err)
		} else if !info.IsDir() {
			return fmt.Errorf("config repository: %s is not a directory", target)
		}
		return os.Symlink(target, path)
	}
	step := log.Step("clone %s", from)
	defer step.Stop()
	clone := path
	if subdir != "" {
		clone = path + "-git"
	}
	if err := cloneInto(ctx, r, clone, from, branch, commit); err != nil {
		_ = os.RemoveAll(clone) // half a clone would count as the config next time
		return err
	}
	if subdir != "" {
		if err := os.Symlink(filepath.Join(filepath.Base(clone), subdir), path); err != nil {
			return err
		}
	}
	step.Done("")
	return nil
}

func cloneInto(ctx context.Context, r tool.Runner, dir, url, branch, commit string) error {
	git := func(args ...string) error {
		_, err := r.Run(ctx, tool.Cmd{Name: "git", Args: args, Env: []string{"GIT_TERMINAL_PROMPT=0"}})
		return err
	}
	args := []string{"clone", "--quiet", "--depth=1", "--recurse-submodules", "--shallow-submodules"}
	if branch != "" {
		args = append(args, "--branch="+branch)
	}
	if err := git(append(args, "--", url, dir)...); err != nil {
		return fmt.Errorf("clone %s: %w", url, err)
	}
	if commit == "" {
		return nil
	}
	for _, args := range [][]string{
		{"-C", dir, "fetch", "--quiet", "--depth=1", "origin", commit},
		{"-C", dir, "reset", "--quiet", "--hard", commit},
		{"-C", dir, "submodule", "--quiet", "update", "--init", "--recursive"},
	} {
		if err := git(args...); err != nil {
			return fmt.Errorf("check out %s of %s: %w", commit, url, err)
		}
	}
	return nil
}

// check tells early what every later stage would miss.
func check(config, variant string) error {
	names := []string{"manifest.yaml", "image.yaml"}
	if variant != "" && variant != "default" {
		names = append(names, "manifest-"+variant+".yaml", "image-"+variant+".yaml")
	}
	var missing []error
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(config, name)); err != nil {
			missing = append(missing, fmt.Errorf("%s has no readable %s; is it a config repository?", config, name))
		}
	}
	return errors.Join(missing...)
}
