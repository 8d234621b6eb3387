// Package configrepo is the config repository as a compose sees it: the treefile
// of the chosen variant, image.yaml, platforms.yaml, lockfiles, package
// repositories and overlays, all read and checked together.
package configrepo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
	"github.com/nestos/nosa-actions/internal/imageconf"
	"github.com/nestos/nosa-actions/internal/manifest"
	"github.com/nestos/nosa-actions/internal/rpmrepo"
)

// Config is one variant of a config repository.
type Config struct {
	Dir      string // src/config
	Variant  string // "" is the default
	Arch     arch.Arch
	Manifest *manifest.Manifest
	Image    *imageconf.Config
	Repos    *rpmrepo.Set
	Locks    Lockfiles
}

// Location says where the parts of a config are.
type Location struct {
	Dir      string // the config repository
	YumRepos string // directory of a second repository with .repo files; may be missing
	Variant  string
	Arch     arch.Arch
}

// Load reads a config. What is wrong with its files is reported together.
func Load(_ context.Context, at Location) (*Config, error) {
	suffix := ""
	if at.Variant != "" {
		suffix = "-" + at.Variant
	}
	manifestPath := filepath.Join(at.Dir, "manifest"+suffix+".yaml")
	imagePath := filepath.Join(at.Dir, "image"+suffix+".yaml")
	for _, path := range []string{manifestPath, imagePath} {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("config repository: %w", err)
		}
	}
	if err := refuseOld(at.Dir); err != nil {
		return nil, err
	}
	c := &Config{Dir: at.Dir, Variant: at.Variant, Arch: at.Arch}
	var errs [4]error
	c.Manifest, errs[0] = manifest.Load(manifestPath, manifest.Options{Arch: at.Arch})
	c.Image, errs[1] = imageconf.Load(imagePath)
	c.Repos, errs[2] = rpmrepo.Gather(at.Dir, at.YumRepos)
	c.Locks, errs[3] = findLockfiles(at.Dir, at.Arch)
	if err := together(errs[:]); err != nil {
		return nil, err
	}
	return c, nil
}

// refuseOld names what the tools of today no longer take.
func refuseOld(dir string) error {
	for name, mend := range map[string]string{
		"overlay":  "the overlay directory is no longer read; move its content to overlay.d/NAME",
		"image.ks": "kickstart support is gone; write image.yaml",
	} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("%s: %s", filepath.Join(dir, name), mend)
		}
	}
	return nil
}

// together makes one error of several: all findings in one list, or the first
// error that is not about lines of files.
func together(errs []error) error {
	var found diag.List
	for _, err := range errs {
		if err == nil {
			continue
		}
		findings := diag.Findings(err)
		if findings == nil {
			return err
		}
		found.Findings = append(found.Findings, findings...)
	}
	return found.Err()
}

// EnabledRepos lists the ids of the repositories to use: those of the manifest,
// or all enabled ones where it names none; with a lockfile also lockfile-repos.
// An id that no .repo file has is a finding at its line.
func (c *Config) EnabledRepos(locked bool) ([]string, error) {
	items := slices.Clone(c.Manifest.Repos)
	if locked {
		items = append(items, c.Manifest.LockfileRepos...)
	}
	if len(items) == 0 {
		ids := c.Repos.Enabled()
		if len(ids) == 0 {
			return nil, errors.New("no repository is enabled; say enabled=1 in a .repo file or list ids under repos in the manifest")
		}
		return ids, nil
	}
	var found diag.List
	var ids []string
	for _, item := range items {
		if c.Repos.Find(item.Value) == nil {
			found.Add(c.noRepo(item))
			continue
		}
		if !slices.Contains(ids, item.Value) {
			ids = append(ids, item.Value)
		}
	}
	return ids, found.Err()
}

// noRepo says that an id is in no .repo file, and which one may be meant.
func (c *Config) noRepo(item manifest.Item) diag.Finding {
	f := diag.Finding{Pos: item.Pos, Message: fmt.Sprintf("repository %q is in none of the .repo files", item.Value)}
	if near, ok := document.Nearest(item.Value, c.Repos.IDs()); ok {
		f.Mend = fmt.Sprintf("did you mean %q?", near)
	}
	return f
}

// Overlays lists the directories of overlay.d, sorted by name; files there are
// ignored.
func (c *Config) Overlays() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(c.Dir, "overlay.d"))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, e := range entries {
		path := filepath.Join(c.Dir, "overlay.d", e.Name())
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			dirs = append(dirs, path)
		}
	}
	return dirs, nil
}

// ImageJSON is the rendered image.json and its SHA-256, hex.
func (c *Config) ImageJSON() (text []byte, checksum string, err error) {
	text, err = c.Image.JSON()
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(text)
	return text, hex.EncodeToString(sum[:]), nil
}
