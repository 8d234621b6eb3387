package rootfs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// whiteoutPrefix marks a file that stands for an overlay file system's whiteout;
// ostree makes the device of it again at checkout.
const whiteoutPrefix = ".ostree-wh."

// topMounts are the directories that something is mounted over at boot; what is
// in them never reaches the commit.
var topMounts = map[string]bool{"dev": true, "proc": true, "run": true, "sys": true, "sysroot": true, "tmp": true}

// dropDevices removes device nodes, which a commit cannot hold, or refuses them;
// whiteouts of overlay file systems become files.
func (t *Tree) dropDevices(refuse bool) error {
	return filepath.WalkDir(t.Root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(strings.TrimPrefix(path, t.Root), "/")
		switch {
		case entry.IsDir() && topMounts[rel]:
			return fs.SkipDir
		case entry.Type()&fs.ModeDevice != 0:
			return dropDevice(path, "/"+rel, entry, refuse)
		}
		return nil
	})
}

func dropDevice(path, inTree string, entry fs.DirEntry, refuse bool) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	stat := info.Sys().(*syscall.Stat_t)
	if info.Mode()&fs.ModeCharDevice != 0 && stat.Rdev == 0 {
		if err := os.Remove(path); err != nil {
			return err
		}
		return replaceFile(filepath.Join(filepath.Dir(path), whiteoutPrefix+filepath.Base(path)), nil, info.Mode().Perm())
	}
	if refuse {
		return fmt.Errorf("%s is a device node, and ignore-devices is false", inTree)
	}
	return os.Remove(path)
}
