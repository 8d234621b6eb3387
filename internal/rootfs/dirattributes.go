package rootfs

import (
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// dirAttributes are what a directory has beside its entries and times.
type dirAttributes struct {
	mode     uint32
	uid, gid int
	xattrs   map[string][]byte
}

func readDirAttributes(path string) (*dirAttributes, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	d := &dirAttributes{mode: st.Mode & 0o7777, uid: int(st.Uid), gid: int(st.Gid), xattrs: map[string][]byte{}}
	names, err := listXattrs(path)
	for _, name := range names {
		value := make([]byte, 64<<10) // the kernel's own limit
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return nil, &fs.PathError{Op: "get " + name + " of", Path: path, Err: err}
		}
		d.xattrs[name] = value[:n]
	}
	return d, err
}

func (d *dirAttributes) apply(path string) error {
	if err := unix.Lchown(path, d.uid, d.gid); err != nil {
		return &fs.PathError{Op: "chown", Path: path, Err: err}
	}
	if err := unix.Chmod(path, d.mode); err != nil {
		return &fs.PathError{Op: "chmod", Path: path, Err: err}
	}
	for name, value := range d.xattrs {
		if err := unix.Lsetxattr(path, name, value, 0); err != nil {
			return &fs.PathError{Op: "set " + name + " of", Path: path, Err: err}
		}
	}
	return nil
}

// copyDirAttributes makes one directory like another.
func copyDirAttributes(from, to string) error {
	d, err := readDirAttributes(from)
	if err != nil {
		return err
	}
	return d.apply(to)
}

// dropXattrs removes extended attributes whose names begin with prefix.
func dropXattrs(path, prefix string) error {
	names, err := listXattrs(path)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if err := unix.Lremovexattr(path, name); err != nil {
			return &fs.PathError{Op: "remove " + name + " of", Path: path, Err: err}
		}
	}
	return nil
}

func listXattrs(path string) ([]string, error) {
	buf := make([]byte, 64<<10) // the kernel's own limit
	n, err := unix.Llistxattr(path, buf)
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, &fs.PathError{Op: "list extended attributes of", Path: path, Err: err}
	}
	var names []string
	for name := range strings.SplitSeq(string(buf[:n]), "\x00") {
		if name != "" {
			names = append(names, name)
		}
	}
	return names, nil
}
