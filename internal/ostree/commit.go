package ostree

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/diag"
)

// Metadata is a commit's dictionary: strings, truth values, numbers, lists of
// strings, the package list ([][5]string) and repository times ([]RepoTime).
type Metadata map[string]any

// TreeCommit describes a commit to make from a directory.
type TreeCommit struct {
	Tree      string // directory; owners, modes and security.capability are kept
	Ref       string // updated to the new commit; empty: none is
	Parent    string // checksum; empty: no parent
	Timestamp time.Time
	Metadata  Metadata
	SELinux   bool // label with the policy that the tree itself carries
	// Shared says that files of the tree are hard links to objects, see Adopt:
	// those are not read, and the tree stays. Any other tree is used up.
	Shared bool
	// ReadonlyExecutables clears the write bits of executable files.
	ReadonlyExecutables bool
}

// CommitTree commits a composed tree and returns its checksum. Extended
// attributes of files that are not the tree's own, such as labels of the
// machine, stay out.
func (r *Repo) CommitTree(ctx context.Context, c TreeCommit) (string, Stats, error) {
	checksum, stats, err := r.commitTree(ctx, c)
	if err != nil {
		return "", Stats{}, fmt.Errorf("commit the tree: %w", err)
	}
	return checksum, stats, nil
}

func (r *Repo) commitTree(ctx context.Context, c TreeCommit) (string, Stats, error) {
	args, err := c.arguments()
	if err != nil {
		return "", Stats{}, err
	}
	files, err := prepareTree(c.Tree)
	if err != nil {
		return "", Stats{}, err
	}
	before, err := r.content(nil)
	if err != nil {
		return "", Stats{}, err
	}
	out, err := r.ostree(ctx, "commit", args...)
	if err != nil {
		return "", Stats{}, err
	}
	checksum, stats, err := parseTable(out)
	if err != nil {
		return "", Stats{}, err
	}
	if c.SELinux {
		if err := r.checkLabels(ctx, checksum); err != nil {
			return "", Stats{}, err
		}
	}
	// ostree does not count the files that it moves instead of copying.
	after, err := r.content(before)
	stats.ContentTotal, stats.ContentWritten, stats.BytesWritten = files, int64(len(after)), 0
	for _, size := range after {
		stats.BytesWritten += size
	}
	return checksum, stats, err
}

// arguments are those of ostree commit.
func (c TreeCommit) arguments() ([]string, error) {
	args := []string{
		"--tree=dir=" + c.Tree, "--no-bindings", "--subject=", "--body=", "--table-output",
		"--timestamp=" + c.Timestamp.UTC().Format(time.RFC3339),
	}
	if c.Shared {
		args = append(args, "--link-checkout-speedup")
	} else {
		args = append(args, "--consume") // unlinking as we go keeps space low
	}
	if c.SELinux {
		args = append(args, "--selinux-policy-from-base")
	}
	if c.ReadonlyExecutables {
		args = append(args, "--mode-ro-executables")
	}
	if c.Ref == "" {
		args = append(args, "--orphan")
	} else {
		args = append(args, "--branch="+c.Ref)
	}
	if c.Parent == "" {
		args = append(args, "--parent=none")
	} else {
		args = append(args, "--parent="+c.Parent)
	}
	for _, key := range slices.Sorted(maps.Keys(c.Metadata)) {
		text, err := variantText(c.Metadata[key])
		if err != nil {
			return nil, fmt.Errorf("commit metadata %s: %w", key, err)
		}
		args = append(args, "--add-metadata="+key+"="+text)
	}
	return args, nil
}

// Overlay is a directory of the config repo, or one made by us, that becomes a
// commit of its own.
type Overlay struct {
	Dir       string
	Ref       string // such as overlay/05core
	Timestamp time.Time
}

// CommitOverlay commits a directory the way overlays are normalised: owned by
// root, no xattrs, no set-id bits, not writable by others, executables not
// writable at all; the statoverride file in it sets other modes. It returns the
// checksum and leaves the directory as it was. Same content, same checksum.
func (r *Repo) CommitOverlay(ctx context.Context, o Overlay, scratch string) (string, error) {
	tree := filepath.Join(scratch, filepath.Base(o.Dir))
	if err := copyNormalised(o.Dir, tree); err != nil {
		return "", fmt.Errorf("copy overlay %s: %w", o.Dir, err)
	}
	args := []string{
		"--tree=dir=" + tree, "--branch=" + o.Ref, "--no-bindings", "--parent=none",
		"--subject=", "--body=",
		"--timestamp=" + o.Timestamp.UTC().Format(time.RFC3339),
		"--owner-uid=0", "--owner-gid=0", "--no-xattrs", "--mode-ro-executables",
	}
	override, err := takeStatoverride(o.Dir, tree, scratch)
	if err != nil {
		return "", fmt.Errorf("overlay %s: %w", o.Dir, err)
	}
	if override != "" {
		args = append(args, "--statoverride="+override)
	}
	out, err := r.ostree(ctx, "commit", args...)
	if err != nil {
		return "", fmt.Errorf("commit overlay %s: %w", o.Dir, err)
	}
	return out, nil
}

// takeStatoverride moves the tree's statoverride file out of it, without its
// comments, and returns the new path; "" if it has none. dir is the overlay that
// the tree is a copy of, for the place of what is wrong.
func takeStatoverride(dir, tree, scratch string) (string, error) {
	path := filepath.Join(tree, StatoverrideName)
	if _, err := os.Lstat(path); os.IsNotExist(err) {
		return "", nil
	}
	var found diag.List
	overrides, err := ReadStatoverride(dir, &found)
	if err != nil {
		return "", err
	}
	if err := found.Err(); err != nil {
		return "", err
	}
	var lines strings.Builder
	for _, o := range overrides {
		lines.WriteString(o.line())
	}
	out := filepath.Join(scratch, filepath.Base(tree)+"."+StatoverrideName)
	if err := os.WriteFile(out, []byte(lines.String()), 0o600); err != nil {
		return "", err
	}
	return out, os.Remove(path)
}

// copyNormalised copies directories, files and symbolic links; modes as a umask
// of 0022 would leave them, without set-id bits.
func copyNormalised(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() &^ 0o022
		switch {
		case entry.IsDir():
			if err := os.Mkdir(target, mode); err != nil {
				return err
			}
		case entry.Type()&os.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		case entry.Type().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if err := os.WriteFile(target, data, mode); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s is neither file, directory nor symbolic link", path)
		}
		return os.Chmod(target, mode)
	})
}
