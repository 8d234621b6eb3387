package tool

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// privateMark tells the program that it has been started again.
const privateMark = "NOSA_PRIVATE_MOUNTS"

// PrivateMounts gives the calling program a mount namespace of its own, so that
// what it mounts goes with it, however it ends, and is seen by its children
// alone. Mounts of the machine still come in. It starts the program again in its
// place, with the same process id; so it has to be the first that main does.
// Without the right to do so nothing happens.
func PrivateMounts() error {
	if os.Getenv(privateMark) != "" {
		return os.Unsetenv(privateMark)
	}
	if os.Geteuid() != 0 {
		return nil
	}
	runtime.LockOSThread() // for good: the other threads stay outside
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		runtime.UnlockOSThread()
		return nil //nolint:nilerr // a container may not
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("keep mounts private: %w", err)
	}
	err := syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), privateMark+"=1"))
	return fmt.Errorf("start again with private mounts: %w", err)
}
