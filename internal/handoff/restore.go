package handoff

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The owner comes first, since a change of owner drops setuid bits and
// capabilities; the time comes last, since all else changes it.

func restoreFile(f *os.File, e Entry) error {
	fd := int(f.Fd())
	if err := owned(unix.Fchown(fd, e.UID, e.GID)); err != nil {
		return fmt.Errorf("set owner: %w", err)
	}
	if err := unix.Fchmod(fd, uint32(e.Mode)); err != nil {
		return fmt.Errorf("set mode: %w", err)
	}
	err := setXattrs(e, func(name string, value []byte) error {
		return unix.Fsetxattr(fd, name, value, 0)
	})
	if err != nil {
		return err
	}
	return setTime(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), e, 0)
}

func restoreDir(root *os.Root, e Entry) error {
	dir, err := root.Open(string(e.Path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return restoreFile(dir, e)
}

func restoreSymlink(root *os.Root, e Entry) error {
	dir, err := root.Open(path.Dir(string(e.Path)))
	if err != nil {
		return err
	}
	defer dir.Close()
	fd, base := int(dir.Fd()), path.Base(string(e.Path))
	if err := owned(unix.Fchownat(fd, base, e.UID, e.GID, unix.AT_SYMLINK_NOFOLLOW)); err != nil {
		return fmt.Errorf("set owner: %w", err)
	}
	err = setXattrs(e, func(name string, value []byte) error {
		return unix.Lsetxattr(fmt.Sprintf("/proc/self/fd/%d/%s", fd, base), name, value, 0)
	})
	if err != nil {
		return err
	}
	return setTime(fd, base, e, unix.AT_SYMLINK_NOFOLLOW)
}

// owned accepts that only root may give files away.
func owned(err error) error {
	if errors.Is(err, unix.EPERM) && os.Geteuid() != 0 {
		return nil
	}
	return err
}

func setXattrs(e Entry, set func(string, []byte) error) error {
	for _, name := range slices.Sorted(maps.Keys(e.Xattrs)) {
		err := set(name, e.Xattrs[name])
		if err != nil && os.Geteuid() != 0 && !strings.HasPrefix(name, "user.") {
			continue // only root may
		}
		if err != nil {
			return fmt.Errorf("set extended attribute %s: %w", name, err)
		}
	}
	return nil
}

func setTime(dir int, name string, e Entry, flags int) error {
	at := unix.NsecToTimespec(e.MTime)
	if err := unix.UtimesNanoAt(dir, name, []unix.Timespec{at, at}, flags); err != nil {
		return fmt.Errorf("set time %s: %w", time.Unix(0, e.MTime), err)
	}
	return nil
}

// removeStage removes a staging directory, also one in which directories
// already have a mode that forbids it.
func removeStage(stage string) {
	_ = filepath.WalkDir(stage, func(p string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(p, 0o700)
		}
		return nil
	})
	_ = os.RemoveAll(stage)
}
