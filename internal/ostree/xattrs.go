package ostree

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// treeXattrs are the extended attributes that belong to a tree; all others come
// from the machine it was composed on.
var treeXattrs = []string{"security.capability", "user.pax.flags", "security.ima"}

// prepareTree removes the extended attributes that the machine put on files:
// access control lists of the directory above, labels, marks of tools. It
// returns the number of files, links among them.
func prepareTree(tree string) (files int64, err error) {
	buf := make([]byte, 64<<10) // the kernel's own limit, XATTR_LIST_MAX
	err = filepath.WalkDir(tree, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() {
			files++
		}
		return dropForeignXattrs(path, buf)
	})
	return files, err
}

func dropForeignXattrs(path string, buf []byte) error {
	n, err := unix.Llistxattr(path, buf)
	if err != nil && !errors.Is(err, unix.ENOTSUP) {
		return fmt.Errorf("extended attributes of %s: %w", path, err)
	}
	for name := range bytes.SplitSeq(buf[:max(n, 0)], []byte{0}) {
		if len(name) == 0 || slices.Contains(treeXattrs, string(name)) {
			continue
		}
		// A machine with SELinux insists on its label; that of the tree's own
		// policy replaces it in the commit.
		err := unix.Lremovexattr(path, string(name))
		if err != nil && string(name) != "security.selinux" {
			return fmt.Errorf("extended attribute %s of %s: %w", name, path, err)
		}
	}
	return nil
}
