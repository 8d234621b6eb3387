// Package ostree makes commits and reads them back, through libostree's command
// line: repositories, overlays, trees, refs and the metadata of a commit.
package ostree

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

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
		if _, err := repo.ostree(ctx, "config", "set", "core.fsync", "false"); err != nil {
			return nil, err
		}
	}
	return repo, nil
}

func (r *Repo) ostree(ctx context.Context, command string, args ...string) (string, error) {
	out, err := r.Run.Run(ctx, tool.Cmd{Name: "ostree", Args: append([]string{command, "--repo=" + r.Path}, args...)})
	return strings.TrimSpace(string(out)), err
}

// Resolve returns the commit that a ref names, or "" if there is no such ref.
func (r *Repo) Resolve(ctx context.Context, ref string) (string, error) {
	for _, kind := range []string{"heads", "mirrors", "remotes"} {
		text, err := os.ReadFile(filepath.Join(r.Path, "refs", kind, ref))
		if err == nil {
			return strings.TrimSpace(string(text)), nil
		}
		if !os.IsNotExist(err) {
			return "", err
		}
	}
	return "", ctx.Err()
}

// Has tells whether the repository holds the commit object.
func (r *Repo) Has(commit string) bool {
	if len(commit) < 3 {
		return false
	}
	_, err := os.Stat(filepath.Join(r.Path, "objects", commit[:2], commit[2:]+".commit"))
	return err == nil
}

// IsPartial tells whether the commit's content is not all here.
func (r *Repo) IsPartial(commit string) bool {
	_, err := os.Stat(filepath.Join(r.Path, "state", commit+".commitpartial"))
	return err == nil
}

// SetRef lets ref name commit, whatever it named before.
func (r *Repo) SetRef(ctx context.Context, ref, commit string) error {
	_, err := r.ostree(ctx, "refs", "--force", "--create="+ref, commit)
	return err
}

// DeleteRef removes a ref; a missing one is fine.
func (r *Repo) DeleteRef(ctx context.Context, ref string) error {
	_, err := r.ostree(ctx, "refs", "--delete", ref)
	return err
}

// Prune removes what no ref reaches, keeping depth parents of each.
func (r *Repo) Prune(ctx context.Context, depth int) error {
	_, err := r.ostree(ctx, "prune", "--refs-only", fmt.Sprintf("--depth=%d", depth))
	return err
}

// Commit is what can be said of a commit without its content.
type Commit struct {
	Checksum        string
	ContentChecksum string // independent of time and metadata
	Version         string // empty if it has none
	Timestamp       time.Time
}

// Show reads a commit.
func (r *Repo) Show(ctx context.Context, commit string) (*Commit, error) {
	out, err := r.ostree(ctx, "show", commit)
	if err != nil {
		return nil, err
	}
	c := &Commit{}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if sum, ok := strings.CutPrefix(line, "commit "); ok && c.Checksum == "" {
			c.Checksum = sum
		}
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "ContentChecksum":
			c.ContentChecksum = value
		case "Version":
			c.Version = value
		case "Date":
			if c.Timestamp, err = time.Parse("2006-01-02 15:04:05 -0700", value); err != nil {
				return nil, fmt.Errorf("date of commit %s: %w", commit, err)
			}
		}
	}
	return c, nil
}

// CommitObject is the serialised commit, whose SHA-256 is its checksum.
func (r *Repo) CommitObject(commit string) ([]byte, error) {
	return os.ReadFile(filepath.Join(r.Path, "objects", commit[:2], commit[2:]+".commit"))
}

// Cat reads one file of a commit.
func (r *Repo) Cat(ctx context.Context, commit, path string) ([]byte, error) {
	return r.Run.Run(ctx, tool.Cmd{Name: "ostree", Args: []string{"cat", "--repo=" + r.Path, commit, path}})
}

// Checkout writes a commit's tree to the directory dir, which must not exist.
func (r *Repo) Checkout(ctx context.Context, commit, dir string) error {
	_, err := r.ostree(ctx, "checkout", "--fsync=false", commit, dir)
	return err
}
