package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nestos/nosa-actions/internal/tool"
)

// packaged is a file that a package brings.
type packaged struct {
	pkg, path, target string // target of a symbolic link
	user, group       string
	mode              uint32 // as in st_mode
	flags             int    // rpmfileAttrs
}

// Types of files in st_mode.
const (
	modeType = 0o170000
	modeDir  = 0o040000
	modeLink = 0o120000
	modeFile = 0o100000
)

// carried are the top-level places that a deployment has, or that Finalize and
// tmpfiles.d translate into one.
var carried = []string{"usr", "bin", "sbin", "lib", "lib64", "etc", "boot", "opt", "var", "run"}

// skeletonPackages lay out the whole top level of a machine; of theirs, what has
// no place in a deployment is left out in silence.
var skeletonPackages = map[string]bool{"filesystem": true, "rootfiles": true}

// contents lists the files of packages that are not installed yet.
func (t *Tree) contents(ctx context.Context, packages []string) ([]packaged, error) {
	const format = `[%{=NAME} %{FILEMODES} %{FILEFLAGS} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILENAMES:shescape} %{FILELINKTOS:shescape}\n]`
	out, err := t.Run.Run(ctx, tool.Cmd{Name: "rpm", Args: append([]string{
		"-qp", "--nosignature", "--nodigest", "--qf", format,
	}, packages...)})
	if err != nil {
		return nil, err
	}
	var files []packaged
	for _, record := range shellWords(string(out)) {
		if len(record) != 7 || !strings.HasPrefix(record[5], "/") {
			continue // a package without files
		}
		files = append(files, packaged{
			pkg: record[0], mode: uint32(number(record[1])), flags: number(record[2]),
			user: record[3], group: record[4], path: record[5], target: record[6],
		})
	}
	return files, nil
}

// refuseForeign reports every package that brings what a deployment has no place
// for: it would be lost, or hide below what a machine mounts.
func refuseForeign(files []packaged, usrLocal bool) error {
	var errs []error
	said := map[string]bool{}
	for _, f := range files {
		top := foreign(f.path, usrLocal)
		if top == "" || skeletonPackages[f.pkg] || said[f.pkg+" "+top] {
			continue
		}
		said[f.pkg+" "+top] = true
		errs = append(errs, fmt.Errorf("package %s brings %s, but an OSTree system keeps nothing of packages in %s; "+
			"exclude the package, or have it install below /usr", f.pkg, f.path, top))
	}
	return errors.Join(errs...)
}

// foreign is the place of a path that no deployment has; "" if there is one.
func foreign(path string, usrLocal bool) string {
	parts := strings.SplitN(strings.TrimPrefix(filepath.Clean(path), "/"), "/", 3)
	if parts[0] == "usr" && len(parts) > 1 && parts[1] == "local" && !usrLocal {
		return "/usr/local"
	}
	for _, top := range carried {
		if parts[0] == top {
			return ""
		}
	}
	return "/" + parts[0]
}

// linkTop makes the links that packages bring to the top level, as /bin to
// usr/bin, before any package unpacks through one.
func (t *Tree) linkTop(files []packaged) error {
	for _, f := range files {
		if f.mode&modeType != modeLink || filepath.Dir(f.path) != "/" || filepath.IsAbs(f.target) {
			continue
		}
		if err := os.MkdirAll(filepath.Join(t.Root, filepath.Join("/", f.target)), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(f.target, filepath.Join(t.Root, f.path)); err != nil && !os.IsExist(err) {
			return err
		}
	}
	return nil
}

// openDirs lets the owner write into every directory of packages: builds and
// updates work as root, but without the power to override modes.
func (t *Tree) openDirs(files []packaged) error {
	const ownerWrite = 0o200
	for _, f := range files {
		if f.mode&modeType != modeDir || f.mode&ownerWrite != 0 {
			continue
		}
		path, err := t.resolve(f.path)
		if err != nil {
			return err
		}
		if info, err := os.Lstat(path); err != nil || !info.IsDir() {
			continue // left out
		}
		if err := chmod(path, f.mode|ownerWrite); err != nil {
			return err
		}
	}
	return nil
}
