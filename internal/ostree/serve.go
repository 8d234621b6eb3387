package ostree

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/tool"
)

// OpenServed opens a repository that a plain web server can hand out, in archive
// mode, and makes it if it is missing.
func OpenServed(ctx context.Context, r tool.Runner, path string) (*Repo, error) {
	repo := &Repo{Path: path, Run: r}
	if _, err := os.Stat(filepath.Join(path, "objects")); err != nil {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, err
		}
		_, err := repo.ostree(ctx, "init", "--mode=archive")
		return repo, err
	}
	mode, err := repo.ostree(ctx, "config", "get", "core.mode")
	if err != nil {
		return nil, err
	}
	if mode != "archive" && mode != "archive-z2" {
		return nil, fmt.Errorf("repository %s is of the mode %s; only one of the mode archive can be pulled over HTTP", path, mode)
	}
	return repo, nil
}

// Delta makes a static delta, by which a client that has the commit from gets to
// the commit to with few requests. Both must be here as a whole.
func (r *Repo) Delta(ctx context.Context, from, to string) error {
	_, err := r.ostree(ctx, "static-delta", "generate", "--from="+from, "--to="+to)
	return err
}

// UpdateSummary writes the list of refs and deltas that clients read first.
func (r *Repo) UpdateSummary(ctx context.Context) error {
	_, err := r.ostree(ctx, "summary", "--update")
	return err
}
