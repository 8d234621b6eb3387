package assembler

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const kvm = "/dev/kvm"

// devices are those of this machine that stages use: virtual machines, FUSE,
// and loop devices for file systems that are filled by mounting them.
func devices() []string {
	list := []string{kvm, "/dev/fuse", "/dev/loop-control"}
	freeLoop()
	loops, _ := filepath.Glob("/dev/loop[0-9]*")
	var found []string
	for _, path := range append(list, loops...) {
		if info, err := os.Stat(path); err == nil && info.Mode()&os.ModeDevice != 0 {
			found = append(found, path)
		}
	}
	return found
}

// freeLoop has the kernel make a loop device that is free, where all are in use:
// a container does not see those that are made later.
func freeLoop() {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return // the machine has none, and who needs one will say so
	}
	defer control.Close()
	_, _ = unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
}
