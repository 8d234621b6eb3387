package rootfs

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Lay moves the files of the directory from into the tree. Directories that both
// have keep the tree's mode. A file that both have must be the same in content,
// mode and kind, unless overwrite is set: then the new one wins. What from has
// below usr/etc lands in /etc, where the tree's configuration is until Finalize.
func (t *Tree) Lay(from string, overwrite bool) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil || rel == "." {
			return err
		}
		inTree := beforeFinalize("/" + rel)
		target, err := t.resolve(inTree)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return layDir(entry, inTree, target)
		}
		switch old, err := os.Lstat(target); {
		case os.IsNotExist(err):
		case err != nil:
			return err
		case !overwrite:
			same, err := identical(path, target)
			if err == nil && !same {
				err = fmt.Errorf("%s is in the tree already and differs", inTree)
			}
			return err
		case old.IsDir():
			return fmt.Errorf("%s is a directory in the tree", inTree)
		}
		return os.Rename(path, target)
	})
}

// layDir makes a directory that the tree lacks.
func layDir(entry fs.DirEntry, inTree, target string) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	switch old, err := os.Stat(target); {
	case err == nil && !old.IsDir():
		return fmt.Errorf("%s is no directory in the tree", inTree)
	case err == nil:
		return nil
	case !os.IsNotExist(err):
		return err
	}
	if err := os.Mkdir(target, info.Mode().Perm()); err != nil {
		return err
	}
	return os.Chmod(target, info.Mode())
}

// identical compares two entries that are no directories.
func identical(a, b string) (bool, error) {
	infoA, err := os.Lstat(a)
	if err != nil {
		return false, err
	}
	infoB, err := os.Lstat(b)
	if err != nil {
		return false, err
	}
	if infoA.Mode() != infoB.Mode() {
		return false, nil
	}
	if infoA.Mode()&fs.ModeSymlink != 0 {
		linkA, errA := os.Readlink(a)
		linkB, errB := os.Readlink(b)
		return linkA == linkB && errA == nil && errB == nil, nil
	}
	if infoA.Size() != infoB.Size() {
		return false, nil
	}
	return sameContent(a, b)
}

func sameContent(a, b string) (bool, error) {
	fileA, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer fileA.Close()
	fileB, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer fileB.Close()
	bufA, bufB := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errA := io.ReadFull(fileA, bufA)
		m, errB := io.ReadFull(fileB, bufB)
		if !bytes.Equal(bufA[:n], bufB[:m]) {
			return false, nil
		}
		if errA != nil || errB != nil {
			return n == m && ended(errA) && ended(errB), nil
		}
	}
}

func ended(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }
