package rootfs

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// replaceFile gives path new content by putting another file in its place: the
// old one may be a hard link into what is kept of the packages. Links are not
// followed. Nothing is flushed; the commit does that.
func replaceFile(path string, data []byte, perm fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".nosa-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already if all went well
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	if err := f.Chmod(perm); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// editFile changes the text of a file of the tree, if the tree has it as a
// regular file; owner and mode stay.
func (t *Tree) editFile(path string, edit func(string) string) error {
	real, err := t.resolve(path)
	if err != nil {
		return err
	}
	info, err := os.Lstat(real)
	if os.IsNotExist(err) || (err == nil && !info.Mode().IsRegular()) {
		return nil
	}
	if err != nil {
		return err
	}
	text, err := os.ReadFile(real)
	if err != nil {
		return err
	}
	now := edit(string(text))
	if now == string(text) {
		return nil
	}
	if err := replaceFile(real, []byte(now), info.Mode().Perm()); err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	return os.Lchown(real, int(owner.Uid), int(owner.Gid))
}
