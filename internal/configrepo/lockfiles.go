package configrepo

import (
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/lock"
)

// Lockfiles are the paths of a config's lockfiles.
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

// LoadLocks reads and merges the lockfiles: the base, unless it is left out
// because it is about to be written anew, then the overrides. It returns nil if
// there are none.
func (c *Config) LoadLocks(withBase bool) (*lock.File, error) {
	paths := c.Locks.Overrides
	if withBase && c.Locks.HasBase {
		paths = append([]string{c.Locks.Base}, paths...)
	}
	if len(paths) == 0 {
		return nil, nil
	}
	merged := &lock.File{}
	for _, path := range paths {
		file, err := lock.Load(path)
		if err != nil {
			return nil, err
		}
		merged.Merge(file)
	}
	return merged, nil
}
