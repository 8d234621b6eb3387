package watchfs

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Record is what programs asked of a directory and what they were answered. It
// may be kept as JSON.
type Record struct {
	Newest int64           `json:"newest"` // seconds since 1970; see Mount
	Paths  map[string]Seen `json:"paths"`  // by absolute path in the directory
}

// Seen is the answer for one path.
type Seen struct {
	Attr
	// Content is the SHA-256 of a file that was read, or of the names in a
	// directory that was listed; empty: neither was done.
	Content string `json:"content,omitempty"`
}

// Attr is what a program can learn of a path without reading it.
type Attr struct {
	Absent     bool   `json:"absent,omitempty"` // there is no such path; the rest is zero
	Mode       uint32 `json:"mode,omitempty"`   // with the type, as in stat(2)
	UID        uint32 `json:"uid,omitempty"`
	GID        uint32 `json:"gid,omitempty"`
	Rdev       uint32 `json:"rdev,omitempty"`
	Size       uint64 `json:"size,omitempty"` // 0 for a directory
	Time       int64  `json:"time,omitempty"` // seconds since 1970
	Nanosecond uint32 `json:"nanosecond,omitempty"`
	Target     string `json:"target,omitempty"` // of a symbolic link
}

func (a Attr) isDir() bool { return a.Mode&unix.S_IFMT == unix.S_IFDIR }

// lstat reads the attributes of a path. One that cannot be reached is absent.
func lstat(path string, newest time.Time) Attr {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return Attr{Absent: true}
	}
	a := Attr{Mode: st.Mode, UID: st.Uid, GID: st.Gid, Rdev: uint32(st.Rdev)}
	changed := time.Unix(st.Mtim.Unix())
	if changed.After(newest) {
		changed = newest
	}
	a.Time, a.Nanosecond = changed.Unix(), uint32(changed.Nanosecond())
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		a.Size = uint64(st.Size)
	case unix.S_IFLNK:
		a.Target, _ = os.Readlink(path)
		a.Size = uint64(len(a.Target))
	}
	return a
}

// errDiffers ends a comparison.
var errDiffers = errors.New("differs")

// Differs compares the record with a directory: a program that asks the same
// questions now gets the same answers if the result is empty; otherwise it is a
// path whose answer has changed.
func (r *Record) Differs(dir string) (path string, err error) {
	newest := time.Unix(r.Newest, 0)
	paths := slices.Sorted(maps.Keys(r.Paths))
	changed := make(chan string, len(paths))
	err = each(paths, func(_ int, p string) error {
		was, full := r.Paths[p], filepath.Join(dir, p)
		same := lstat(full, newest) == was.Attr
		if same && was.Content != "" {
			now, err := content(full, was.Attr)
			if err != nil {
				return fmt.Errorf("compare with an earlier run: %w", err)
			}
			same = now == was.Content
		}
		if !same {
			changed <- p
			return errDiffers
		}
		return nil
	})
	if errors.Is(err, errDiffers) {
		return <-changed, nil
	}
	return "", err
}

// each runs do for all items, on all processors, until one fails.
func each[T any](items []T, do func(i int, item T) error) error {
	var group errgroup.Group
	jobs := runtime.GOMAXPROCS(0)
	failed := make(chan struct{}, jobs)
	for job := range jobs {
		group.Go(func() error {
			for i := job; i < len(items) && len(failed) == 0; i += jobs {
				if err := do(i, items[i]); err != nil {
					failed <- struct{}{}
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}
