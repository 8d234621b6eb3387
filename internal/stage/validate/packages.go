package validate

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/configrepo"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
	"github.com/nestos/nosa-actions/internal/lock"
	"github.com/nestos/nosa-actions/internal/rpmrepo"
)

// repos are the .repo files; set is nil when there are none or one has errors.
type repos struct {
	set *rpmrepo.Set
}

// readRepos reads the .repo files.
func (c *check) readRepos(found *diag.List) error {
	dirs := []string{c.Dir}
	if c.YumRepos != "" {
		dirs = append(dirs, c.YumRepos)
	}
	any := false
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.repo"))
		if err != nil {
			return err
		}
		any = any || len(files) > 0
	}
	if !any {
		found.Add(diag.Finding{
			Severity: c.doubtful(), Pos: diag.Pos{File: c.Dir}, Message: "there is no .repo file, and so nowhere to get packages from",
			Mend: "add one, or give a directory with some by nosa init --yumrepos",
		})
		return nil
	}
	set, err := rpmrepo.Gather(dirs...)
	if told(err, c.Dir, found); err == nil {
		c.repos.set = set
	}
	return nil
}

// checkRepos holds the repositories that manifests name against the .repo files.
func (c *check) checkRepos(found *diag.List) {
	if c.repos.set == nil {
		return
	}
	locked := c.locked()
	for _, v := range c.variants {
		if v.manifest == nil {
			continue
		}
		config := configrepo.Config{Manifest: v.manifest, Repos: c.repos.set}
		_, err := config.EnabledRepos(locked)
		findings := diag.Findings(err)
		if findings == nil && err != nil {
			findings = []diag.Finding{{Pos: diag.Pos{File: v.file}, Message: err.Error()}}
		}
		for _, f := range findings {
			f.Severity = c.doubtful()
			found.Add(f)
		}
	}
}

// locked tells whether a lockfile is in force for the architecture.
func (c *check) locked() bool {
	for _, name := range []string{c.Arch.RPM, "overrides", "overrides." + c.Arch.RPM} {
		if _, ok, err := lock.Find(c.path("manifest-lock."+name), ".json"); ok || err != nil {
			return true
		}
	}
	return false
}

// lockArches are the architectures that lockfiles of the field are named for,
// which is more than we build for.
var lockArches = []string{"x86_64", "aarch64", "ppc64le", "s390x", "riscv64", "loongarch64"}

// readLockfiles reads all lockfiles, also those of other architectures.
func (c *check) readLockfiles(found *diag.List) error {
	files, err := filepath.Glob(filepath.Join(escapeGlob(c.Dir), "manifest-lock.*"))
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, file := range files {
		ext := filepath.Ext(file)
		base := strings.TrimSuffix(file, ext)
		if ext != ".json" && ext != ".yaml" || !c.known(base, file, found) {
			continue
		}
		if _, _, err := lock.Find(base, ext); err != nil && !seen[base] {
			seen[base] = true
			found.Add(diag.Finding{
				Pos: diag.Pos{File: file}, Mend: "remove one",
				Message: fmt.Sprintf("both %s.json and %[1]s.yaml exist", filepath.Base(base)),
			})
		}
		_, err := lock.Load(file)
		told(err, file, found)
	}
	return nil
}

// known tells whether anything reads a lockfile of that name.
func (c *check) known(base, file string, found *diag.List) bool {
	name := strings.TrimPrefix(filepath.Base(base), "manifest-lock.")
	if name == "overrides" || slices.Contains(lockArches, strings.TrimPrefix(name, "overrides.")) {
		return true
	}
	names := []string{"overrides"}
	for _, a := range lockArches {
		names = append(names, a, "overrides."+a)
	}
	f := diag.Finding{Severity: diag.Warning, Pos: diag.Pos{File: file}, Message: "nothing reads a lockfile of this name"}
	if near, ok := document.Nearest(name, names); ok {
		f.Mend = fmt.Sprintf("did you mean manifest-lock.%s%s?", near, filepath.Ext(file))
	}
	found.Add(f)
	return false
}

// stat follows links; a link to nowhere is an error that says so.
func stat(path string) (os.FileInfo, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		if target, linkErr := os.Readlink(path); linkErr == nil {
			return nil, fmt.Errorf("the symbolic link leads to %s, which does not exist", target)
		}
	}
	return info, err
}
