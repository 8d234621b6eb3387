package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
)

// stateBelowUsr are directories of /var/lib whose content belongs to the
// packages; tmpfiles.d links them to /usr/lib.
var stateBelowUsr = []string{"alternatives", "vagrant"}

// PlaceState moves what is part of the system from /var, which a commit leaves
// empty, to where it is part of the commit. It comes before scriptlets, so that
// these, and postprocess scripts, work on it at its final place while the rest of
// /var is read-only.
func (t *Tree) PlaceState() error {
	for _, name := range stateBelowUsr {
		if err := t.moveBelowUsr(name); err != nil {
			return fmt.Errorf("move /var/lib/%s to /usr/lib: %w", name, err)
		}
	}
	return t.placePolicyStore()
}

func (t *Tree) moveBelowUsr(name string) error {
	from := filepath.Join(t.Root, "var/lib", name)
	if info, err := os.Lstat(from); err != nil || !info.IsDir() {
		return nil //nolint:nilerr // not there, or a link already
	}
	if err := mergeDir(from, filepath.Join(t.Root, "usr/lib", name)); err != nil {
		return err
	}
	if err := os.Remove(from); err != nil {
		return err
	}
	return os.Symlink("../../usr/lib/"+name, from)
}
