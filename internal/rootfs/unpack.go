// Package rootfs makes an operating system tree out of packages: it unpacks
// them through rpm, runs their scriptlets and the config's scripts in a sandbox,
// and shapes the result as OSTree wants it. It knows nothing of repositories of
// packages before it, nor of commits after it.
package rootfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/tool"
)

// DBPath is where the rpm database lies in the tree, below /usr so that it is
// part of the commit.
const DBPath = "/usr/share/rpm"

// Tree is an operating system tree under construction. Until Finalize its /etc
// is at /etc, as packages and scripts expect.
type Tree struct {
	Root string // directory
	Run  tool.Runner
	// Epoch stands for "now" in everything that is written into the tree, so
	// that the same input gives the same bytes.
	Epoch time.Time

	overlay *overlayMount // nil: Root is a plain directory
}

// UnpackOptions say what of the packages to take.
type UnpackOptions struct {
	NoDocs   bool     // leave out files flagged as documentation
	Langs    []string // locales to install; nil: all
	UsrLocal bool     // packages may bring files to /usr/local
}

// Unpack installs the files of the packages and fills the rpm database, without
// running any of their scripts: those come after the overlays (see Scriptlets).
// All files belong to root until FixOwners. Packages that bring files to places
// that a deployment does not have are refused, as are two that bring different
// files of one name. Paths are .rpm files that were verified before.
func (t *Tree) Unpack(ctx context.Context, packages []string, o UnpackOptions) error {
	// rpm keeps the given order where dependencies leave it free, and numbers the
	// packages of its database by it.
	packages = slices.SortedFunc(slices.Values(packages), func(a, b string) int {
		return strings.Compare(filepath.Base(a), filepath.Base(b))
	})
	files, err := t.contents(ctx, packages)
	if err != nil {
		return fmt.Errorf("read the file lists of %d packages: %w", len(packages), err)
	}
	if err := refuseForeign(files, o.UsrLocal); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(t.Root, DBPath), 0o755); err != nil {
		return err
	}
	if err := t.linkTop(files); err != nil {
		return err
	}
	if err := t.install(ctx, packages, o); err != nil {
		return fmt.Errorf("unpack %d packages: %w", len(packages), err)
	}
	if err := t.openDirs(files); err != nil {
		return err
	}
	return t.writePackageTmpfiles(files)
}

// install lets rpm do its part. The database is SQLite's whatever this machine's
// rpm prefers: it is read below a read-only /usr.
func (t *Tree) install(ctx context.Context, packages []string, o UnpackOptions) error {
	args := []string{
		"--root=" + t.Root, "--dbpath=" + DBPath,
		// The files were verified against the lock a moment ago.
		"-U", "--nosignature", "--nodigest", "--noscripts", "--notriggers",
		"--define=_pkgverify_level none", "--define=_db_backend sqlite",
	}
	if o.NoDocs {
		args = append(args, "--excludedocs")
	}
	if o.Langs != nil {
		args = append(args, "--define=_install_langs "+strings.Join(o.Langs, ":"))
	}
	var said bytes.Buffer
	_, err := t.Run.Run(ctx, tool.Cmd{
		Name: "rpm", Args: append(args, packages...), Stderr: &said,
		// rpm takes the install time from it.
		Env: []string{"SOURCE_DATE_EPOCH=" + strconv.FormatInt(t.Epoch.Unix(), 10)},
	})
	var failed *tool.Error
	if errors.As(err, &failed) && failed.ExitCode() > 0 {
		return &installError{cause: failed, said: complaints(said.String())}
	}
	return err
}

// installError is rpm's refusal with all of its reasons: with many packages there
// are often more than the last few words tell.
type installError struct {
	cause *tool.Error
	said  []string
}

func (e *installError) Error() string {
	return fmt.Sprintf("rpm: %v: %s", e.cause.Err, strings.Join(e.said, "\n"))
}

func (e *installError) Unwrap() error { return e.cause }

// complaints are the lines of rpm's that tell why, at most twenty.
func complaints(text string) []string {
	const most = 20
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "error: "))
		// Debian's rpm advises against itself.
		if line == "" || strings.HasPrefix(line, "rpm: ") || strings.HasPrefix(line, "warning: ") {
			continue
		}
		if len(lines) == most {
			return append(lines, "...")
		}
		lines = append(lines, line)
	}
	return lines
}

// query asks the tree's rpm database with a query format.
func (t *Tree) query(ctx context.Context, format string) (string, error) {
	out, err := t.Run.Run(ctx, tool.Cmd{
		Name: "rpm", Args: []string{"--root=" + t.Root, "--dbpath=" + DBPath, "-qa", "--qf", format},
	})
	return string(out), err
}

// Installed is one package of the tree's database.
type Installed struct {
	Name, Epoch, Version, Release, Arch string // Epoch "0" if there is none
	SourceRPM                           string
	Size                                int64 // of its files, bytes
}

// Packages lists what is installed, without rpm's own pseudo packages that hold
// keys, in the order of rpm's database.
func (t *Tree) Packages(ctx context.Context) ([]Installed, error) {
	out, err := t.query(ctx, `%{NAME}\t%{EPOCHNUM}\t%{VERSION}\t%{RELEASE}\t%{ARCH}\t%{SOURCERPM}\t%{LONGSIZE}\n`)
	if err != nil {
		return nil, err
	}
	var list []Installed
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 7 || f[0] == "gpg-pubkey" {
			continue
		}
		size, err := strconv.ParseInt(f[6], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("size of package %s: %w", f[0], err)
		}
		list = append(list, Installed{Name: f[0], Epoch: f[1], Version: f[2], Release: f[3], Arch: f[4], SourceRPM: f[5], Size: size})
	}
	return list, nil
}

// Owned is a file or directory that a package brought.
type Owned struct {
	Package     string
	Path        string // absolute, in the tree as packages know it
	User, Group string
	Mode        uint32 // type and permission bits, as in st_mode
}

// Files lists what every package brought.
func (t *Tree) Files(ctx context.Context) ([]Owned, error) {
	out, err := t.query(ctx, `[%{=NAME}\t%{FILEUSERNAME}\t%{FILEGROUPNAME}\t%{FILEMODES}\t%{FILENAMES}\n]`)
	if err != nil {
		return nil, err
	}
	var list []Owned
	for line := range strings.Lines(out) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 5)
		if len(f) != 5 {
			continue // a package without files
		}
		mode, err := strconv.ParseUint(f[3], 10, 16)
		if err != nil {
			return nil, fmt.Errorf("mode of %s in package %s: %w", f[4], f[0], err)
		}
		list = append(list, Owned{Package: f[0], User: f[1], Group: f[2], Mode: uint32(mode), Path: f[4]})
	}
	return list, nil
}

// resolve gives the place of an absolute path of the tree, following symbolic
// links of its directories inside the tree (such as /bin -> usr/bin), so that
// nothing outside is ever meant.
func (t *Tree) resolve(path string) (string, error) {
	dir, base := filepath.Split(filepath.Clean("/" + path))
	real, err := followDirs(t.Root, dir)
	if err != nil {
		return "", err
	}
	return filepath.Join(t.Root, real, base), nil
}

// followDirs resolves the links in dir, an absolute path of the tree, one part
// after the other; absolute targets start again at the tree's root.
func followDirs(root, dir string) (string, error) {
	const maxLinks = 40 // as Linux has it
	parts := strings.Split(strings.Trim(dir, "/"), "/")
	at, links := "/", 0
	for len(parts) > 0 {
		part := parts[0]
		parts = parts[1:]
		if part == "" || part == "." {
			continue
		}
		next := filepath.Join(at, part) // Join also takes care of ".."
		target, err := os.Readlink(filepath.Join(root, next))
		if err != nil {
			at = next // not a link, or not there: the caller will see
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: too many symbolic links", dir)
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		parts = append(strings.Split(strings.Trim(target, "/"), "/"), parts...)
	}
	return at, nil
}
