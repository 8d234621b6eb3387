package rootfs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// FixOwners gives the files of packages to the users and groups that their
// packages name, now that these exist; set-id bits and capabilities, which a
// change of owner clears, are put back. A name that nobody made stays root's, as
// rpm leaves it.
func (t *Tree) FixOwners(ctx context.Context) error {
	users, err := ids(filepath.Join(t.Root, "etc/passwd"))
	if err != nil {
		return err
	}
	groups, err := ids(filepath.Join(t.Root, "etc/group"))
	if err != nil {
		return err
	}
	files, err := t.Files(ctx)
	if err != nil {
		return err
	}
	for _, f := range files {
		uid, gid := users[f.User], groups[f.Group]
		if uid == 0 && gid == 0 {
			continue
		}
		path, err := t.resolve(f.Path)
		if err != nil {
			return err
		}
		if err := chown(path, uid, gid, f.Mode); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("give %s to %s:%s: %w", f.Path, f.User, f.Group, err)
		}
	}
	return nil
}

// ids reads names and numbers of a passwd or group file; a missing file has
// none.
func ids(path string) (map[string]int, error) {
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	byName := map[string]int{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) < 3 {
			continue
		}
		id, err := strconv.Atoi(fields[2])
		if err != nil {
			return nil, fmt.Errorf("%s: %s has id %q", path, fields[0], fields[2])
		}
		byName[fields[0]] = id
	}
	return byName, lines.Err()
}

func chown(path string, uid, gid int, mode uint32) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	const capability = "security.capability"
	buf := make([]byte, 64)
	size, err := unix.Lgetxattr(path, capability, buf)
	if err != nil {
		size = 0
	}
	if err := os.Lchown(path, uid, gid); err != nil {
		return err
	}
	if info.Mode()&os.ModeSymlink != 0 {
		return nil
	}
	if info.IsDir() {
		mode |= 0o200 // see openDirs
	}
	if err := chmod(path, mode); err != nil {
		return err
	}
	if size > 0 {
		return unix.Lsetxattr(path, capability, buf[:size], 0)
	}
	return nil
}

// chmod sets the permission bits of mode, which is as in st_mode.
func chmod(path string, mode uint32) error { return unix.Chmod(path, mode&0o7777) }
