// Package gitinfo says where a source tree comes from: commit, origin, branch,
// whether it was changed since, and keeps a copy of it beside a build. It reads
// git repositories through the git program and never writes to them.
package gitinfo

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/tool"
)

// ErrNoRepo says that a directory is not under version control, or that nothing
// was committed yet.
var ErrNoRepo = errors.New("not in a git repository")

const (
	unknown  = "unknown" // an origin that git does not know
	detached = "HEAD"    // the branch of a detached or shallow checkout
)

// Info is the state of a git checkout.
type Info struct {
	Commit   string    // full hex id of HEAD
	Origin   string    // URL without a password, or "unknown"
	Branch   string    // "HEAD" in a detached or shallow checkout
	Dirty    bool      // a tracked file differs from the index
	Describe string    // git describe --tags --always --abbrev=42
	Time     time.Time // committer date of HEAD, UTC
}

// Git is the form in which the records of a build name a checkout.
type Git struct {
	Commit string `json:"commit"`
	Origin string `json:"origin"`
	Branch string `json:"branch,omitzero"`
	Dirty  string `json:"dirty,omitzero"` // "true" or "false"
}

// Git gives the form for records. Their schema asks for branch names of at
// least three characters; a shorter one is left out.
func (i Info) Git() Git {
	g := Git{Commit: i.Commit, Origin: i.Origin, Branch: i.Branch, Dirty: strconv.FormatBool(i.Dirty)}
	if len(g.Branch) < 3 {
		g.Branch = ""
	}
	return g
}

// Read reads the state of the checkout that tracks the files in dir. If there is
// none the error is ErrNoRepo.
func Read(ctx context.Context, r tool.Runner, dir string) (Info, error) {
	g, err := open(ctx, r, dir)
	if err != nil {
		return Info{}, fmt.Errorf("reading the git state of %s: %w", dir, err)
	}
	info, err := g.info(ctx)
	if err != nil {
		return Info{}, fmt.Errorf("reading the git state of %s: %w", dir, err)
	}
	return info, nil
}

// Tracked lists the files of a checkout that git keeps, relative to dir, those of
// its submodules too. A checkout that is none is ErrNoRepo.
func Tracked(ctx context.Context, r tool.Runner, dir string) ([]string, error) {
	g, err := open(ctx, r, dir)
	if err != nil {
		return nil, err
	}
	list, err := g.raw(ctx, "ls-files", "-z", "--recurse-submodules", "--", ".")
	if err != nil {
		return nil, fmt.Errorf("listing the files of %s: %w", dir, err)
	}
	return strings.FieldsFunc(list, func(r rune) bool { return r == 0 }), nil
}

// checkout runs git in one directory.
type checkout struct {
	run tool.Runner
	dir string
}

func open(ctx context.Context, r tool.Runner, dir string) (checkout, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return checkout{}, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return checkout{}, err
	}
	g := checkout{run: r, dir: dir}
	inside, ok, err := g.maybe(ctx, 128, "rev-parse", "--is-inside-work-tree")
	if err != nil {
		return checkout{}, err
	}
	if !ok || inside != "true" {
		return checkout{}, ErrNoRepo
	}
	// A tree that merely lies in somebody's checkout, ignored by it, is not
	// described by that checkout.
	tracked, err := g.git(ctx, "ls-files", "--", ".")
	if err != nil {
		return checkout{}, err
	}
	if tracked == "" {
		return checkout{}, ErrNoRepo
	}
	return g, nil
}

func (g checkout) info(ctx context.Context) (Info, error) {
	commit, ok, err := g.maybe(ctx, 1, "rev-parse", "--quiet", "--verify", "HEAD")
	if err != nil {
		return Info{}, err
	}
	if !ok {
		return Info{}, fmt.Errorf("nothing is committed: %w", ErrNoRepo)
	}
	info := Info{Commit: commit}
	if info.Branch, info.Origin, err = g.branch(ctx); err != nil {
		return Info{}, err
	}
	if info.Describe, err = g.git(ctx, "describe", "--tags", "--always", "--abbrev=42"); err != nil {
		return Info{}, err
	}
	if info.Time, err = g.time(ctx); err != nil {
		return Info{}, err
	}
	_, clean, err := g.maybe(ctx, 1, "diff", "--quiet", "--no-ext-diff")
	info.Dirty = !clean
	return info, err
}

// branch is the checked out branch and the URL of its upstream remote; without
// a branch, or without the history that would tell, that of the remote origin.
func (g checkout) branch(ctx context.Context) (branch, origin string, err error) {
	shallow, err := g.git(ctx, "rev-parse", "--is-shallow-repository")
	if err != nil {
		return "", "", err
	}
	branch, ok, err := g.maybe(ctx, 1, "symbolic-ref", "--quiet", "--short", "HEAD")
	if err != nil {
		return "", "", err
	}
	remote := "origin"
	if !ok || shallow == "true" {
		branch = detached
	} else if remote, err = g.config(ctx, "branch."+branch+".remote"); err != nil {
		return "", "", err
	}
	origin, err = g.config(ctx, "remote."+remote+".url")
	return branch, publicURL(origin), err
}

func (g checkout) time(ctx context.Context) (time.Time, error) {
	text, err := g.git(ctx, "log", "-1", "--format=%ct")
	if err != nil {
		return time.Time{}, err
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(seconds, 0).UTC(), err
}

// config reads a setting; an absent one is "".
func (g checkout) config(ctx context.Context, key string) (string, error) {
	value, _, err := g.maybe(ctx, 1, "config", "--get", key)
	return value, err
}

// maybe does as git; the exit status no means "no such thing" or "it is not so"
// and gives ok false.
func (g checkout) maybe(ctx context.Context, no int, args ...string) (out string, ok bool, err error) {
	out, err = g.git(ctx, args...)
	if failed, is := errors.AsType[*tool.Error](err); is && failed.ExitCode() == no {
		return "", false, nil
	}
	return out, err == nil, err
}

// git runs git on the checkout and returns its trimmed output. In CI the
// checkout often belongs to another user, which git refuses unless told that
// the directory is meant. Programs that the repository's own settings would
// start on a mere look are turned off, and nothing is written.
func (g checkout) git(ctx context.Context, args ...string) (string, error) {
	out, err := g.raw(ctx, args...)
	return strings.TrimSpace(out), err
}

func (g checkout) raw(ctx context.Context, args ...string) (string, error) {
	all := append([]string{
		"--no-optional-locks", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C", g.dir,
	}, args...)
	out, err := g.run.Run(ctx, tool.Cmd{Name: "git", Args: all})
	return string(out), err
}

// publicURL is the URL of a remote without the password or token that some CI
// systems put there; it gets into records that are published.
func publicURL(remote string) string {
	if remote == "" {
		return unknown
	}
	u, err := url.Parse(remote)
	if err != nil || u.User == nil || u.Scheme == "" {
		return remote // scp-like user@host:path has no place for a password
	}
	if u.Scheme == "ssh" {
		u.User = url.User(u.User.Username())
	} else {
		u.User = nil
	}
	return u.String()
}
