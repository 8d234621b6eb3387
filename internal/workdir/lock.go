package workdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// errHeld says that a lock belongs to another holder.
var errHeld = errors.New("another process is at it")

// lock takes the exclusive lock of the file at path, waiting for it. The lock
// file is .BASENAME.lock beside it and stays. The kernel frees the lock when
// its holder dies.
func lock(path string) (release func(), err error) {
	f, err := openLock(filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock"))
	if err != nil {
		return nil, err
	}
	if err := flock(f, unix.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// lockForRead does as lock, but where no lock file can be made, nobody can
// write either, and reading goes ahead without.
func lockForRead(path string) (release func(), err error) {
	release, err = lock(path)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil
	}
	return release, err
}

func openLock(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			return errHeld
		case err != nil:
			return fmt.Errorf("locking %s: %w", f.Name(), err)
		}
		return nil
	}
}

// held are the locks that only the end of the process gives back.
var held sync.Map // path -> *os.File

// holdForLife takes the lock file at path until the process ends; it fails with
// errHeld if another process has it.
func holdForLife(path string) error {
	if _, ok := held.Load(path); ok {
		return nil
	}
	f, err := openLock(path)
	if err != nil {
		return err
	}
	if err := flock(f, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return err
	}
	if _, taken := held.LoadOrStore(path, f); taken {
		f.Close()
	}
	return nil
}
