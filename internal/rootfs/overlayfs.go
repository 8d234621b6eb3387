package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// overlayMount is a mounted overlay file system (the kernel's
// Documentation/filesystems/overlayfs.rst): the files of lower, and above them
// what was changed, in upper.
type overlayMount struct {
	lower, upper, work string
	at                 string // mount point
}

// mountOverlay shows lower at the directory at, which it makes. What is changed
// lies in directories beside at.
func mountOverlay(lower, at string) (*overlayMount, error) {
	m := &overlayMount{lower: lower, at: at, upper: at + ".upper", work: at + ".work"}
	for _, dir := range []string{m.at, m.upper, m.work} {
		if strings.ContainsAny(dir, `,:\`) {
			return nil, fmt.Errorf("%s cannot be named in mount options", dir)
		}
		if err := os.RemoveAll(dir); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	if err := copyDirAttributes(lower, m.upper); err != nil {
		return nil, err
	}
	// redirect_dir: directories can be renamed. The others may be switched on by
	// default, and would let a file's data or number come from elsewhere.
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,redirect_dir=on,metacopy=off,index=off,xino=off",
		m.lower, m.upper, m.work)
	// volatile: nothing of it has to survive a crash.
	err := unix.Mount("overlay", at, "overlay", 0, options+",volatile")
	if err != nil {
		err = unix.Mount("overlay", at, "overlay", 0, options)
	}
	if err != nil {
		return nil, fmt.Errorf("mount overlay at %s: %w", at, err)
	}
	if !m.sharesDevice() {
		return nil, errors.Join(fmt.Errorf("%s is not on the file system of %s", at, lower), m.unmount())
	}
	return m, nil
}

// sharesDevice tells whether both layers are on one file system: then files have
// the same inode number in the mount and below it.
func (m *overlayMount) sharesDevice() bool {
	var lower, upper unix.Stat_t
	return unix.Stat(m.lower, &lower) == nil && unix.Stat(m.upper, &upper) == nil && lower.Dev == upper.Dev
}

func (m *overlayMount) unmount() error {
	err := unix.Unmount(m.at, 0)
	if errors.Is(err, unix.EBUSY) { // in another mount namespace, for a moment
		err = unix.Unmount(m.at, unix.MNT_DETACH)
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", m.at, err)
	}
	return nil
}

// settle replaces the mount by a directory with the same content.
func (m *overlayMount) settle() error {
	entries, err := m.entries()
	if err != nil {
		return err
	}
	if err := m.unmount(); err != nil {
		return err
	}
	final := m.at + ".final"
	if err := gather(entries, final); err != nil {
		return err
	}
	for _, dir := range []string{m.at, m.upper, m.work} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return os.Rename(final, m.at)
}

// gather makes a directory of the entries: directories first, then files, on all
// processors, and at last what the modes of directories might forbid.
func gather(entries []overlayEntry, final string) error {
	for _, e := range entries {
		if e.dir == nil {
			continue
		}
		if err := os.Mkdir(filepath.Join(final, e.path), 0o700); err != nil {
			return err
		}
	}
	var group errgroup.Group
	jobs := runtime.GOMAXPROCS(0)
	for job := range jobs {
		group.Go(func() error {
			for i := job * len(entries) / jobs; i < (job+1)*len(entries)/jobs; i++ {
				if err := entries[i].link(final); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, e := range entries {
		if e.dir == nil {
			continue
		}
		if err := e.dir.apply(filepath.Join(final, e.path)); err != nil {
			return err
		}
	}
	return nil
}

// overlayEntry is a path of the merged tree.
type overlayEntry struct {
	path   string         // relative
	dir    *dirAttributes // of a directory
	source string         // of anything else: the file in one of the layers
	own    bool           // source is in the upper layer
}

// entries lists the merged tree, directories before what is in them.
func (m *overlayMount) entries() ([]overlayEntry, error) {
	byInode, err := inodes(m.lower)
	if err != nil {
		return nil, err
	}
	var list []overlayEntry
	err = filepath.WalkDir(m.at, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(m.at, path)
		if err != nil {
			return err
		}
		e := overlayEntry{path: rel}
		if entry.IsDir() {
			e.dir, err = readDirAttributes(path)
		} else {
			err = m.locate(&e, byInode)
		}
		list = append(list, e)
		return err
	})
	return list, err
}

// locate finds the layer that a file comes from.
func (m *overlayMount) locate(e *overlayEntry, byInode map[uint64]string) error {
	e.source, e.own = filepath.Join(m.upper, e.path), true
	if _, err := os.Lstat(e.source); err == nil {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Join(m.at, e.path), &st); err != nil {
		return &fs.PathError{Op: "lstat", Path: e.path, Err: err}
	}
	e.source, e.own = byInode[st.Ino], false
	if e.source == "" {
		return fmt.Errorf("%s is in no layer", e.path)
	}
	return nil
}

// inodes finds a path for each file by its number.
func inodes(root string) (map[uint64]string, error) {
	byInode := map[uint64]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return &fs.PathError{Op: "lstat", Path: path, Err: err}
		}
		byInode[st.Ino] = path
		return nil
	})
	return byInode, err
}

// link makes the entry in the directory final, unless it is a directory itself.
func (e overlayEntry) link(final string) error {
	if e.dir != nil {
		return nil
	}
	if e.own {
		if err := dropXattrs(e.source, "trusted.overlay."); err != nil {
			return err
		}
	}
	return os.Link(e.source, filepath.Join(final, e.path))
}
