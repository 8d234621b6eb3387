package ostreerepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Adopt makes the files and links below dir objects of a bare repository, by
// hard links: a later commit of them need not read them again. One whose object
// is there already becomes a link to that. Both are one file from then on, which
// must not be changed in place, and has the time 0. Where that cannot be, in a
// repository of another mode or on another file system, nothing is done but for
// the times. jobs files are read at once.
func (w *Writer) Adopt(ctx context.Context, dir string, jobs int) error {
	paths, err := files(dir)
	if err != nil {
		return err
	}
	possible := w.repo.mode == ModeBare && sameDevice(dir, w.repo.dir)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(jobs)
	for _, path := range paths {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			epoch := []unix.Timespec{{}, {}}
			if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, epoch, unix.AT_SYMLINK_NOFOLLOW); err != nil {
				return &fs.PathError{Op: "set the time of", Path: path, Err: err}
			}
			if !possible {
				return nil
			}
			return w.adopt(path)
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("take the files of %s into the repository: %w", dir, err)
	}
	if possible && w.repo.fsync {
		return unix.Syncfs(int(w.lock.Fd()))
	}
	return nil
}

// files lists all that a content object can stand for.
func files(dir string) (list []string, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && (e.Type().IsRegular() || e.Type() == fs.ModeSymlink) {
			list = append(list, path)
		}
		return err
	})
	return list, err
}

func sameDevice(a, b string) bool {
	var x, y unix.Stat_t
	return unix.Lstat(a, &x) == nil && unix.Lstat(b, &y) == nil && x.Dev == y.Dev
}

func (w *Writer) adopt(path string) error {
	h, content, err := w.repo.bareFile(path, true)
	if err != nil {
		return err
	}
	defer content.Close()
	sum := h.NewHash()
	if _, err := copyTo(sum, content); err != nil {
		return err
	}
	object := w.repo.path(KindFile, Checksum(sum.Sum(nil)))
	err = link(path, object)
	if errors.Is(err, fs.ErrExist) {
		err = w.replaceByLink(object, path)
	}
	if errors.Is(err, unix.EMLINK) { // a file with that many names is read again
		return nil
	}
	return err
}

// link gives a file a second name, in a directory that may be missing.
func link(from, to string) error {
	err := os.Link(from, to)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.Link(from, to)
}

// replaceByLink puts a link to the object in place of path.
func (w *Writer) replaceByLink(object, path string) error {
	name := w.name()
	if err := os.Link(object, name); err != nil {
		return err
	}
	defer os.Remove(name) // still there if both were one file already
	return os.Rename(name, path)
}
