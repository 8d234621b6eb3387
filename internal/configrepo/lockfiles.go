package configrepo

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/lock"
)

// Lockfiles are the paths of a config's lockfiles. They are the same for all
// variants.
type Lockfiles struct {
	Base    string // where the base lockfile is, or would be written
	HasBase bool
	// Overrides are the override files that exist, in the order in which the
	// later replaces entries of the earlier.
	Overrides []string
}

// findLockfiles looks for manifest-lock.ARCH and the two override files.
func findLockfiles(dir string, a arch.Arch) (Lockfiles, error) {
	var l Lockfiles
	var err error
	l.Base, l.HasBase, err = lock.Find(filepath.Join(dir, "manifest-lock."+a.RPM), ".json")
	if err != nil {
		return l, err
	}
	for _, name := range []string{"manifest-lock.overrides", "manifest-lock.overrides." + a.RPM} {
		path, found, err := lock.Find(filepath.Join(dir, name), ".yaml")
		if err != nil {
			return l, err
		}
		if found {
			l.Overrides = append(l.Overrides, path)
		}
	}
	return l, nil
}

// LockOptions choose among the lockfiles.
type LockOptions struct {
	// WithoutBase leaves out the base lockfile, because it is about to be
	// written anew.
	WithoutBase bool
	// Auto is the directory of an earlier build, builds/ID, whose packages
	// stand in for the base lockfile; empty: none. A config that has a base
	// lockfile refuses it.
	Auto string
}

// LoadLocks reads and merges the lockfiles: the base or what stands in for it,
// then the overrides, of which the later replace entries of the earlier. It
// returns nil if there are none. What is wrong with them is reported together.
func (c *Config) LoadLocks(o LockOptions) (*lock.File, error) {
	var paths []string
	merged := &lock.File{}
	switch {
	case o.Auto != "" && c.Locks.HasBase:
		return nil, fmt.Errorf("--autolock is for configs without a lockfile, but there is %s", c.Locks.Base)
	case o.Auto != "":
		auto, err := generated(o.Auto)
		if err != nil {
			return nil, err
		}
		merged.Merge(auto)
	case c.Locks.HasBase && !o.WithoutBase:
		paths = append(paths, c.Locks.Base)
	}
	paths = append(paths, c.Locks.Overrides...)
	if len(paths) == 0 && o.Auto == "" {
		return nil, nil
	}
	errs := make([]error, len(paths))
	for i, path := range paths {
		file, err := lock.Load(path)
		if errs[i] = err; err == nil {
			merged.Merge(file)
		}
	}
	return merged, together(errs)
}

// ErrNoGeneratedLockfile is returned when a build, or its lockfile, is not here.
var ErrNoGeneratedLockfile = errors.New("no generated lockfile")

// generated reads the lockfile that a build has left, of whatever architecture,
// and makes it fit for every one.
func generated(build string) (*lock.File, error) {
	paths, err := filepath.Glob(filepath.Join(build, "*", "manifest-lock.generated.*.json"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("--autolock: %w in %s", ErrNoGeneratedLockfile, build)
	}
	file, err := lock.Load(paths[0])
	if err != nil {
		return nil, err
	}
	return file.AnyArch()
}
