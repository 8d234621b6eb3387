// Package clean is the stage that removes builds and temporary files.
package clean

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nestos/nosa-actions/internal/workdir"
)

// Options say what goes.
type Options struct {
	All bool // also what fetch downloaded
}

// Run empties builds and tmp, and with All also cache. Hidden files stay.
func Run(dir *workdir.Dir, o Options) error {
	dirs := []string{dir.BuildsDir(), dir.Tmp()}
	if o.All {
		dirs = append(dirs, dir.Cache())
	}
	for _, d := range dirs {
		entries, err := os.ReadDir(d)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") {
				continue
			}
			if err := os.RemoveAll(filepath.Join(d, e.Name())); err != nil {
				return fmt.Errorf("clean %s: %w", d, err)
			}
		}
	}
	return nil
}
