package job

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// giveBack makes the work directory and the builds in it the user's who started
// the job through sudo. What lies in cache and tmp keeps its owners: there are
// trees of operating systems in it, which mean something.
func (j *Job) giveBack() error {
	uid, err := strconv.Atoi(os.Getenv("SUDO_UID"))
	gid, gidErr := strconv.Atoi(os.Getenv("SUDO_GID"))
	if os.Geteuid() != 0 || err != nil || gidErr != nil {
		return nil
	}
	for _, name := range []string{".", "cache", "tmp", "overrides", "overrides/rpm", "overrides/rootfs", "src"} {
		if err := os.Lchown(filepath.Join(j.Workdir, name), uid, gid); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return filepath.WalkDir(filepath.Join(j.Workdir, "builds"), func(path string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}
