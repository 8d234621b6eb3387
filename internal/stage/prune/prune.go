// Package prune is the stage that removes old builds and brings builds.json in
// line with what lies in the work directory.
package prune

import (
	"fmt"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/ostree"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// DefaultKeep is how many builds are kept when nobody says otherwise.
const DefaultKeep = 3

// Options says which builds go.
type Options struct {
	Workdir *workdir.Dir

	KeepLast int      // newest builds to keep beside the tagged ones; 0 keeps all
	Builds   []string // builds to remove instead
	DryRun   bool     // only tell
}

// Run removes builds and their refs in the ostree repository. It returns the
// ids of the builds that went, or with DryRun would go. A build that could not
// be removed is reported after the others were.
func Run(o Options) ([]string, error) {
	if o.KeepLast < 0 {
		return nil, fmt.Errorf("cannot keep %d builds", o.KeepLast)
	}
	// The repository is a cache: without it there is no ref to remove.
	repo := &ostree.Repo{Path: filepath.Join(o.Workdir.Tmp(), "repo")}
	return o.Workdir.Prune(workdir.PruneOptions{
		KeepLast: o.KeepLast,
		Drop:     o.Builds,
		DryRun:   o.DryRun,
		DropRef:  repo.DeleteRef,
	})
}
