// Package apt lets the machine's own apt choose and fetch Debian packages for a
// system that does not exist yet: it resolves against an empty package status,
// from the machine's own sources and with its own trust, so that signatures and
// checksums are apt's business.
package apt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nestos/nosa-actions/internal/tool"
)

// Options say what to fetch and where to.
type Options struct {
	// Packages are apt's words: a name, or a name with "-" at its end to keep a
	// package out.
	Packages []string
	// Cache is the directory that keeps the package files.
	Cache string
}

// ErrNoLists says that apt knows none of the packages because it has never
// downloaded any package list.
var ErrNoLists = errors.New("apt has no package lists yet; run apt-get update first")

// Download resolves the packages with all they depend on, but without what they
// only recommend, and fetches what the cache lacks. It returns the paths of all
// package files in apt's order.
func Download(ctx context.Context, r tool.Runner, o Options) ([]string, error) {
	archives := filepath.Join(o.Cache, "debs")
	lists := filepath.Join(o.Cache, "apt") // apt's digest of the package lists
	for _, dir := range []string{filepath.Join(archives, "partial"), lists} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	status := filepath.Join(o.Cache, "empty-status")
	if err := os.WriteFile(status, nil, 0o644); err != nil {
		return nil, err
	}
	get := getter{runner: r, status: status, archives: archives, lists: lists, packages: o.Packages}
	names, err := get.names(ctx)
	if err != nil {
		return nil, err
	}
	paths := make([]string, 0, len(names))
	missing := 0
	for _, name := range names {
		path := filepath.Join(archives, name)
		paths = append(paths, path)
		if _, err := os.Stat(path); err != nil {
			missing++
		}
	}
	if missing == 0 {
		return paths, nil
	}
	if _, err := get.run(ctx, archives, "--download-only"); err != nil {
		return nil, fmt.Errorf("download %d packages: %w", missing, err)
	}
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("apt-get has not left %s behind: %w", filepath.Base(path), err)
		}
	}
	return paths, nil
}

type getter struct {
	runner                  tool.Runner
	status, archives, lists string
	packages                []string
}

// names lists the file names of the whole solution. Apt prints only what its
// archive directory lacks, so it is shown an empty one.
func (g getter) names(ctx context.Context) ([]string, error) {
	empty, err := os.MkdirTemp(filepath.Join(g.archives, "partial"), "resolve-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(empty)
	if err := os.Mkdir(filepath.Join(empty, "partial"), 0o755); err != nil {
		return nil, err
	}
	out, err := g.run(ctx, empty, "--print-uris")
	if err != nil {
		if g.noLists(ctx) {
			return nil, ErrNoLists
		}
		return nil, fmt.Errorf("resolve the packages: %w", err)
	}
	return fileNames(string(out)), nil
}

// fileNames takes the names from lines of the form 'URI' NAME SIZE CHECKSUM.
func fileNames(uris string) []string {
	var names []string
	for line := range strings.Lines(uris) {
		words := strings.Fields(line)
		if len(words) >= 3 && strings.HasPrefix(words[0], "'") {
			names = append(names, words[1])
		}
	}
	return names
}

func (g getter) noLists(ctx context.Context) bool {
	out, err := g.runner.Run(ctx, tool.Cmd{Name: "apt-get", Args: []string{"indextargets", "--format", "$(FILENAME)", "Created-By: Packages"}})
	return err == nil && len(strings.TrimSpace(string(out))) == 0
}

func (g getter) run(ctx context.Context, archives, mode string) ([]byte, error) {
	args := []string{
		"-o", "Dir::State::status=" + g.status,
		"-o", "Dir::Cache=" + g.lists,
		"-o", "Dir::Cache::archives=" + archives,
		"-o", "Debug::NoLocking=1", // nothing of the machine itself is changed
		"-o", "APT::Sandbox::User=root", // apt's own user may not enter the cache
		"-o", "APT::Get::Assume-Yes=true",
		"--no-install-recommends", mode, "install",
	}
	return g.runner.Run(ctx, tool.Cmd{
		Name: "apt-get", Args: append(args, g.packages...), Env: []string{"DEBIAN_FRONTEND=noninteractive"},
	})
}
