package rpmrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/tool"
)

// checkSignatures verifies the packages of repositories that say gpgcheck=1,
// each with the keys of its own repository and no others. Packages that lie in
// the cache already are verified again: the keys may have changed.
func checkSignatures(ctx context.Context, r tool.Runner, packages []Package, keys map[string][]string, req Request) error {
	byRepo := map[string][]Package{}
	for _, p := range packages {
		if repo := req.Repos.Find(p.Repo); repo != nil && repo.GPGCheck {
			byRepo[p.Repo] = append(byRepo[p.Repo], p)
		}
	}
	var found diag.List
	for _, id := range req.Enable {
		if len(byRepo[id]) == 0 {
			continue
		}
		repo := req.Repos.Find(id)
		if len(keys[id]) == 0 {
			found.Add(diag.Finding{
				Pos: repo.Pos, Message: fmt.Sprintf("repository %q says gpgcheck=1 but names no key", id),
				Mend: "add gpgkey=, or say gpgcheck=0",
			})
			continue
		}
		ring := keyring{run: r, dir: filepath.Join(req.Scratch, "keyring", id)}
		if err := ring.add(ctx, keys[id]); err != nil {
			found.Addf(repo.Pos, "repository %q: %v", id, err)
			continue
		}
		bad, err := ring.reject(ctx, byRepo[id], req.Packages)
		if err != nil {
			return err
		}
		for _, b := range bad {
			found.Add(diag.Finding{Pos: repo.Pos, Message: fmt.Sprintf("repository %q: %s", id, b.String()), Mend: b.mend()})
		}
	}
	return found.Err()
}

// keyring is an rpm database that holds nothing but keys.
type keyring struct {
	run tool.Runner
	dir string
}

func (k keyring) add(ctx context.Context, keys []string) error {
	_, err := k.run.Run(ctx, tool.Cmd{Name: "rpmkeys", Args: append([]string{"--dbpath=" + k.dir, "--import"}, keys...)})
	if err != nil {
		return fmt.Errorf("import the keys of gpgkey: %w", err)
	}
	return nil
}

// rejected is a package whose signature does not hold.
type rejected struct {
	file string
	why  verdict
	key  string // id of the key it was signed with, or ""
}

type verdict int

const (
	good verdict = iota
	unsigned
	unknownKey
	tampered
)

func (r rejected) String() string {
	switch r.why {
	case unsigned:
		return r.file + " is not signed"
	case unknownKey:
		return fmt.Sprintf("%s is signed with key %s, which is not among those of gpgkey", r.file, r.key)
	}
	return fmt.Sprintf("the signature of %s is wrong: the package was changed after it was signed", r.file)
}

func (r rejected) mend() string {
	switch r.why {
	case unsigned:
		return "sign it, or say gpgcheck=0 for the repository"
	case unknownKey:
		return "add that key to gpgkey if you trust it"
	}
	return "do not use it; ask those who run the repository"
}

// reject verifies packages on all cores and gives those that do not hold.
func (k keyring) reject(ctx context.Context, packages []Package, dir string) ([]rejected, error) {
	group, ctx := errgroup.WithContext(ctx)
	size := (len(packages) + runtime.NumCPU() - 1) / runtime.NumCPU()
	parts := slices.Collect(slices.Chunk(packages, size))
	results := make([][]rejected, len(parts))
	for i, part := range parts {
		group.Go(func() (err error) {
			results[i], err = k.rejectPart(ctx, part, dir)
			return err
		})
	}
	err := group.Wait()
	return slices.Concat(results...), err
}

func (k keyring) rejectPart(ctx context.Context, packages []Package, dir string) ([]rejected, error) {
	args := []string{"--dbpath=" + k.dir, "--define=_pkgverify_level all", "--checksig", "--verbose", "--"}
	for _, p := range packages {
		args = append(args, filepath.Join(dir, p.File))
	}
	var out bytes.Buffer
	_, err := k.run.Run(ctx, tool.Cmd{Name: "rpmkeys", Args: args, Env: []string{"LC_ALL=C"}, Stdout: &out})
	if failed := (*tool.Error)(nil); err != nil && (!errors.As(err, &failed) || failed.ExitCode() < 0) {
		return nil, err
	}
	said := parseChecksig(out.String())
	var bad []rejected
	for _, p := range packages {
		r, ok := said[filepath.Join(dir, p.File)]
		if !ok {
			return nil, fmt.Errorf("rpmkeys says nothing about %s: %w", p.File, err)
		}
		if r.why != good {
			r.file = p.File
			bad = append(bad, r)
		}
	}
	if err != nil && len(bad) == 0 {
		return nil, err // it is unhappy with something that we did not understand
	}
	return bad, nil
}

// parseChecksig reads the report of rpmkeys --checksig --verbose: a line
// "PATH:", then one indented line for each signature and digest, which ends in
// OK, NOKEY, NOTTRUSTED, BAD ... . A package without any signature that is OK is
// rejected.
func parseChecksig(report string) map[string]rejected {
	said := map[string]rejected{}
	path := ""
	var signed bool
	settle := func() {
		if r := said[path]; path != "" && r.why == good && !signed {
			r.why = unsigned
			said[path] = r
		}
	}
	for line := range strings.Lines(report) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		if line[0] != ' ' && len(line) > 1 && strings.HasSuffix(line, ":") {
			settle()
			path, signed = strings.TrimSuffix(line, ":"), false
			said[path] = rejected{}
			continue
		}
		r := said[path]
		what, result, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if path == "" || !ok {
			continue
		}
		signature := strings.Contains(strings.ToLower(what), "signature")
		switch {
		case strings.HasPrefix(result, "OK"):
			signed = signed || signature
		case strings.HasPrefix(result, "NOTFOUND"):
		case signature && (strings.HasPrefix(result, "NOKEY") || strings.HasPrefix(result, "NOTTRUSTED")):
			if _, id, ok := strings.Cut(what, "key ID "); ok {
				r.key = id
			}
			r.why = max(r.why, unknownKey)
		default:
			r.why = tampered
		}
		said[path] = r
	}
	settle()
	return said
}
