package rootfs

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Where /opt and /usr/local lead to; the values of the key opt-usrlocal.
const (
	OptVar          = "var"           // into /var: local, kept over updates
	OptRoot         = "root"          // plain directories of the commit
	OptStateOverlay = "state-overlay" // in the commit, with an overlay in /var at boot
)

// topDirs are what a deployment has at its top level.
var topDirs = []string{"dev", "proc", "run", "sys", "var", "sysroot", "boot"}

// keptLinks are the entries of the top level that packages decide about.
var keptLinks = []string{"bin", "sbin", "lib", "lib64", "lib32"}

// skeleton gives the tree the top level of a deployment. What packages put
// anywhere but below /usr, /etc, /var or /run has no place in one, unless its
// root is transient.
func (t *Tree) skeleton(o FinalOptions) error {
	keep := slices.Concat([]string{"usr"}, keptLinks)
	links := map[string]string{"ostree": "sysroot/ostree", "home": "var/home", "root": "var/roothome"}
	dirs := slices.Clone(topDirs)
	transient, err := t.transientRoot()
	switch {
	case err != nil:
		return err
	case transient && !o.TmpIsDir:
		return errors.New("the root is transient (prepare-root.conf), which does not go with tmp-is-dir: false")
	case transient:
		if keep, err = t.topLevel(); err != nil {
			return err
		}
		dirs = append(dirs, "opt", "usr/local", "media", "mnt", "srv")
	case o.OptUsrlocal == OptRoot:
		keep = append(keep, "opt")
		dirs = append(dirs, "opt", "usr/local")
	case o.OptUsrlocal == OptStateOverlay:
		links["opt"] = "usr/lib/opt"
		dirs = append(dirs, "usr/lib/opt", "usr/local")
	default:
		links["opt"], links["usr/local"] = "var/opt", "../var/usrlocal"
	}
	if !transient {
		links["srv"], links["mnt"], links["media"] = "var/srv", "var/mnt", "run/media"
	}
	if err := t.dropTop(keep); err != nil {
		return err
	}
	if err := t.makeDirs(dirs); err != nil {
		return err
	}
	if err := t.placeTmp(o.TmpIsDir, links); err != nil {
		return err
	}
	return t.makeLinks(links)
}

// topLevel lists what the tree has at its top level, but for mount points: what
// is in those goes in any case.
func (t *Tree) topLevel() ([]string, error) {
	entries, err := os.ReadDir(t.Root)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !slices.Contains(topDirs, e.Name()) && e.Name() != "tmp" {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (t *Tree) dropTop(keep []string) error {
	entries, err := os.ReadDir(t.Root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if slices.Contains(keep, e.Name()) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(t.Root, e.Name())); err != nil {
			return err
		}
	}
	return os.Chmod(t.Root, 0o755)
}

// makeDirs makes directories, also where a link is.
func (t *Tree) makeDirs(dirs []string) error {
	for _, dir := range dirs {
		path := filepath.Join(t.Root, dir)
		if info, err := os.Lstat(path); err == nil && !info.IsDir() {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tree) placeTmp(isDir bool, links map[string]string) error {
	if !isDir {
		links["tmp"] = "sysroot/tmp"
		return nil
	}
	tmp := filepath.Join(t.Root, "tmp")
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		return err
	}
	return os.Chmod(tmp, 0o777|fs.ModeSticky)
}

func (t *Tree) makeLinks(links map[string]string) error {
	for name, target := range links {
		path := filepath.Join(t.Root, name)
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if err := os.Symlink(target, path); err != nil {
			return err
		}
	}
	return nil
}

// placeOpt puts what packages brought to /opt below /usr, where it is part of
// the commit; tmpfiles.d or a link of the top level leads there. It stays where
// the root has a directory of its own.
func (t *Tree) placeOpt(o FinalOptions) error {
	if stays, err := t.optStays(o); err != nil || stays {
		return err
	}
	opt := filepath.Join(t.Root, "opt")
	if info, err := os.Lstat(opt); err != nil || !info.IsDir() {
		return nil //nolint:nilerr // no /opt, or a link: nothing to move
	}
	return mergeDir(opt, filepath.Join(t.Root, "usr/lib/opt"))
}

// optStays tells whether /opt is a directory of the commit itself.
func (t *Tree) optStays(o FinalOptions) (bool, error) {
	if o.OptUsrlocal == OptRoot {
		return true, nil
	}
	return t.transientRoot()
}

// enableStateOverlays lets systemd mount the overlays over /opt and /usr/local.
func (t *Tree) enableStateOverlays() error {
	dir := filepath.Join(t.Root, "usr/lib/systemd/system/local-fs.target.requires")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, unit := range []string{"ostree-state-overlay@usr-lib-opt.service", "ostree-state-overlay@usr-local.service"} {
		if err := os.Symlink("../"+unit, filepath.Join(dir, unit)); err != nil && !os.IsExist(err) {
			return err
		}
	}
	return nil
}

// transientRoot reads root.transient of /usr/lib/ostree/prepare-root.conf
// (ostree-prepare-root(1)), a key file.
func (t *Tree) transientRoot() (bool, error) {
	path, err := t.resolve("/usr/lib/ostree/prepare-root.conf")
	if err != nil {
		return false, err
	}
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	section, transient := "", false
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			section = line
		}
		key, value, _ := strings.Cut(line, "=")
		if section == "[root]" && strings.TrimSpace(key) == "transient" {
			transient = slices.Contains([]string{"true", "yes", "1"}, strings.TrimSpace(value))
		}
	}
	return transient, lines.Err()
}
