package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// RemoveFromPackages deletes files of a package whose path any of the patterns
// matches. A pattern is searched for anywhere in the absolute path, where files
// below /etc appear as /usr/etc. The rpm database is not changed.
func (t *Tree) RemoveFromPackages(ctx context.Context, rules map[string][]*regexp.Regexp) error {
	if len(rules) == 0 {
		return nil
	}
	files, err := t.Files(ctx)
	if err != nil {
		return err
	}
	// Backwards, so that what is in a directory goes before the directory.
	for i := len(files) - 1; i >= 0; i-- {
		f := files[i]
		if !matchesAny(rules[f.Package], inCommit(f.Path)) {
			continue
		}
		path, err := t.resolve(f.Path)
		if err != nil {
			return err
		}
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) && !isNotEmpty(err) {
			return err
		}
	}
	return nil
}

func matchesAny(patterns []*regexp.Regexp, path string) bool {
	for _, p := range patterns {
		if p.MatchString(path) {
			return true
		}
	}
	return false
}

// inCommit is the path that a file has in the finished tree.
func inCommit(path string) string {
	if strings.HasPrefix(path, "/etc/") {
		return "/usr" + path
	}
	return path
}

// beforeFinalize is the absolute path at which a path of the finished tree is
// found until Finalize: /usr/etc is still /etc.
func beforeFinalize(path string) string {
	path = filepath.Clean("/" + path)
	if path == "/usr/etc" || strings.HasPrefix(path, "/usr/etc/") {
		return strings.TrimPrefix(path, "/usr")
	}
	return path
}

func isNotEmpty(err error) bool {
	var pathErr *fs.PathError
	return errors.As(err, &pathErr) && strings.Contains(pathErr.Err.Error(), "not empty")
}

// EnableUnits links systemd units into multi-user.target.
func (t *Tree) EnableUnits(units []string) error {
	if len(units) == 0 {
		return nil
	}
	wants := filepath.Join(t.Root, "etc/systemd/system/multi-user.target.wants")
	if err := os.MkdirAll(wants, 0o755); err != nil {
		return err
	}
	for _, unit := range units {
		link := filepath.Join(wants, unit)
		if _, err := os.Lstat(link); err == nil {
			continue
		}
		if err := os.Symlink("/usr/lib/systemd/system/"+unit, link); err != nil {
			return err
		}
	}
	return nil
}

// SetDefaultTarget makes target what the system boots into.
func (t *Tree) SetDefaultTarget(target string) error {
	link := filepath.Join(t.Root, "usr/lib/systemd/system/default.target")
	if err := os.Remove(link); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return err
	}
	return os.Symlink(target, link)
}

// MutateOSRelease puts the full version in place of the base version in the
// lines VERSION= and PRETTY_NAME= of os-release and adds OSTREE_VERSION.
func (t *Tree) MutateOSRelease(base, version string) error {
	path, err := t.file("/etc/os-release")
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("mutate-os-release: %w", err)
	}
	return replaceFile(path, []byte(mutateOSRelease(string(text), base, version)), 0o644)
}

func mutateOSRelease(text, base, version string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line == "" {
			continue
		}
		if strings.HasPrefix(line, "VERSION=") || strings.HasPrefix(line, "PRETTY_NAME=") {
			line = strings.ReplaceAll(line, base, version)
		}
		b.WriteString(line + "\n")
	}
	fmt.Fprintf(&b, "OSTREE_VERSION='%s'\n", strings.ReplaceAll(version, "'", `'\''`))
	return b.String()
}

// file resolves a path of the tree, the last part being followed too.
func (t *Tree) file(path string) (string, error) {
	real, err := followDirs(t.Root, path)
	return filepath.Join(t.Root, real), err
}

// RemoveFiles deletes relative paths recursively; a missing one is fine.
func (t *Tree) RemoveFiles(paths []string) error {
	for _, path := range paths {
		real, err := t.resolve(beforeFinalize(path))
		if err != nil {
			return err
		}
		if err := os.RemoveAll(real); err != nil {
			return err
		}
	}
	return nil
}

// AddedFile is a file of the config repo to put into the tree.
type AddedFile struct {
	Source string // path on this machine
	Dest   string // relative path in the tree
}

// AddFiles copies files in, with the mode of the source, owned by root.
func (t *Tree) AddFiles(files []AddedFile) error {
	for _, f := range files {
		real, err := t.resolve(beforeFinalize(f.Dest))
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(real), 0o755); err != nil {
			return err
		}
		if err := copyFile(f.Source, real); err != nil {
			return fmt.Errorf("add-files %s: %w", f.Dest, err)
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	if err := out.Chmod(info.Mode().Perm()); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
