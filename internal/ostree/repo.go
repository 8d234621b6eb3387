// Package ostree makes commits and reads them back, through libostree's command
// line: repositories, overlays, trees, refs and the metadata of a commit.
package ostree

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Repo is a repository in a directory.
type Repo struct {
	Path string
	Run  tool.Runner
}

// OpenCache opens the work directory's repository and makes it if it is missing.
// A new one is in bare mode: a composed tree moves into it, and out of it into a
// deployment, by hard links. One that upstream made, in archive mode, serves as
// well. A transient one is never flushed to the disk; it can be made again from
// the builds.
func OpenCache(ctx context.Context, r tool.Runner, path string, transient bool) (*Repo, error) {
	repo := &Repo{Path: path, Run: r}
	if _, err := os.Stat(filepath.Join(path, "objects")); err == nil {
		return repo, nil
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, err
	}
	if _, err := repo.ostree(ctx, "init", "--mode=bare"); err != nil {
		return nil, err
	}
	if transient {
		if err := ostreerepo.Configure(path, ostreerepo.Option{Section: "core", Key: "fsync", Value: "false"}); err != nil {
			return nil, err
		}
	}
	return repo, nil
}

func (r *Repo) ostree(ctx context.Context, command string, args ...string) (string, error) {
	out, err := r.Run.Run(ctx, tool.Cmd{Name: "ostree", Args: append([]string{command, "--repo=" + r.Path}, args...)})
	return strings.TrimSpace(string(out)), err
}

// Prune removes what no ref reaches, keeping depth parents of each.
func (r *Repo) Prune(ctx context.Context, depth int) error {
	_, err := r.ostree(ctx, "prune", "--refs-only", fmt.Sprintf("--depth=%d", depth))
	return err
}

// Cat reads one file of a commit.
func (r *Repo) Cat(ctx context.Context, commit, path string) ([]byte, error) {
	return r.Run.Run(ctx, tool.Cmd{Name: "ostree", Args: []string{"cat", "--repo=" + r.Path, commit, path}})
}

// Checkout writes a commit's tree to the directory dir, which must not exist. The
// files are copies, which may be changed.
func (r *Repo) Checkout(ctx context.Context, commit, dir string) error {
	_, err := r.ostree(ctx, "checkout", "--fsync=false", "--force-copy", commit, dir)
	return err
}

// CheckoutPath writes one directory of a commit's tree to dir, which must not
// exist. The files are copies.
func (r *Repo) CheckoutPath(ctx context.Context, commit, path, dir string) error {
	_, err := r.ostree(ctx, "checkout", "--fsync=false", "--force-copy", "--subpath="+path, commit, dir)
	return err
}
