package inside

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// dirPrefix begins the name of each Listener's directory.
const dirPrefix = "nosa-container-"

// makeDir makes a private directory that is locked for as long as the process
// lives, after removing those of processes that were killed.
func makeDir() (path string, lock *os.File, err error) {
	sweep(os.TempDir())
	for range 5 {
		if path, err = os.MkdirTemp("", dirPrefix); err != nil {
			return "", nil, err
		}
		if lock = lockDir(path); lock != nil {
			return path, lock, nil
		}
		// Another process swept it in the moment before it was locked.
	}
	return "", nil, errors.New("no directory of our own can be made in " + os.TempDir())
}

// lockDir locks a directory; nil if another process has, or if it is gone.
func lockDir(path string) *os.File {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		opened, openErr := f.Stat()
		there, err := os.Lstat(path)
		if openErr == nil && err == nil && os.SameFile(opened, there) {
			return f
		}
	}
	_ = f.Close()
	return nil
}

// sweep removes the directories whose process is gone. What cannot be removed is
// another user's.
func sweep(temp string) {
	list, _ := filepath.Glob(filepath.Join(temp, dirPrefix+"*"))
	for _, path := range list {
		if lock := lockDir(path); lock != nil {
			_ = os.RemoveAll(path)
			_ = lock.Close()
		}
	}
}
