// Package prune is the stage that removes old builds and brings builds.json in
// line with what lies in the work directory.
package prune

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/ostree"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// DefaultKeep is how many builds are kept when nobody says otherwise.
const DefaultKeep = 3

// Options says which builds go.
type Options struct {
	Workdir *workdir.Dir
	Runner  tool.Runner

	KeepLast int      // newest builds to keep beside the tagged ones; 0 keeps all
	Builds   []string // builds to remove instead
	DryRun   bool     // only tell
}

// Run removes builds and their refs in the ostree repository. It returns the
// ids of the builds that went, or with DryRun would go. A build that could not
// be removed is reported after the others were.
func Run(ctx context.Context, o Options) ([]string, error) {
	if o.KeepLast < 0 {
		return nil, fmt.Errorf("cannot keep %d builds", o.KeepLast)
	}
	return o.Workdir.Prune(workdir.PruneOptions{
		KeepLast: o.KeepLast,
		Drop:     o.Builds,
		DryRun:   o.DryRun,
		DropRef:  func(id string) error { return dropRef(ctx, o, id) },
	})
}

// dropRef deletes the ref that is named like the build. The repository is a
// cache: without it there is nothing to do.
func dropRef(ctx context.Context, o Options, id string) error {
	repo := filepath.Join(o.Workdir.Tmp(), "repo")
	if _, err := os.Stat(filepath.Join(repo, "config")); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return (&ostree.Repo{Path: repo, Run: o.Runner}).DeleteRef(ctx, id)
}
