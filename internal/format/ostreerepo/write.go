package ostreerepo

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/flate"
	"golang.org/x/sys/unix"
)

// Writer adds objects to a repository. Each appears under its name only when it
// is complete and its checksum is right. Its methods may be called by several
// goroutines at once.
type Writer struct {
	repo *Repo
	lock *os.File
	tmp  string
	next atomic.Uint64
}

// NewWriter takes the repository's shared lock, which keeps a prune away. While
// another process prunes, it waits.
func (r *Repo) NewWriter(ctx context.Context) (*Writer, error) {
	lock, err := os.OpenFile(filepath.Join(r.dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o660)
	if err != nil {
		return nil, fmt.Errorf("lock repository: %w", err)
	}
	if err := lockShared(ctx, lock); err != nil {
		lock.Close()
		return nil, fmt.Errorf("lock repository %s: %w", r.dir, err)
	}
	parent := filepath.Join(r.dir, "tmp")
	if err := os.MkdirAll(parent, 0o755); err != nil {
		lock.Close()
		return nil, err
	}
	tmp, err := os.MkdirTemp(parent, "nosa-")
	if err != nil {
		lock.Close()
		return nil, err
	}
	return &Writer{repo: r, lock: lock, tmp: tmp}, nil
}

// lockShared takes the kind of lock that libostree uses.
func lockShared(ctx context.Context, f *os.File) error {
	for {
		lock := unix.Flock_t{Type: unix.F_RDLCK}
		err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock)
		if err != unix.EAGAIN && err != unix.EACCES {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Close releases the lock and removes what was not finished.
func (w *Writer) Close() error {
	return errors.Join(os.RemoveAll(w.tmp), w.lock.Close())
}

// Metadata adds a dirtree or dirmeta object.
func (w *Writer) Metadata(kind Kind, sum Checksum, data []byte) error {
	if got := Checksum(sha256.Sum256(data)); got != sum {
		return fmt.Errorf("%s %s has the checksum %s", kind, sum, got)
	}
	if w.repo.Has(kind, sum) {
		return nil
	}
	return w.put(kind, sum, data)
}

// Commit adds the commit object, as the last of its objects: whoever sees the
// commit may rely on the rest being there and on the disk. detached is its
// detached metadata or nil.
func (w *Writer) Commit(sum Checksum, data, detached []byte) error {
	if got := Checksum(sha256.Sum256(data)); got != sum {
		return fmt.Errorf("commit %s has the checksum %s", sum, got)
	}
	if w.repo.fsync {
		if err := unix.Syncfs(int(w.lock.Fd())); err != nil {
			return fmt.Errorf("flush the repository: %w", err)
		}
	}
	if detached != nil {
		if err := w.put(KindCommitMeta, sum, detached); err != nil {
			return err
		}
	}
	if err := w.put(KindCommit, sum, data); err != nil {
		return err
	}
	// A commit whose content had been left out before is complete now.
	err := os.Remove(filepath.Join(w.repo.dir, "state", sum.String()+".commitpartial"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (w *Writer) put(kind Kind, sum Checksum, data []byte) error {
	name := w.name()
	if err := os.WriteFile(name, data, 0o644); err != nil {
		return err
	}
	return w.place(name, kind, sum)
}

// File adds a content object. It reads content to its end, which must come after
// h.Size bytes, also if the object is there already.
func (w *Writer) File(sum Checksum, h *Header, content io.Reader) error {
	if err := h.check(); err != nil {
		return fmt.Errorf("file %s: %w", sum, err)
	}
	if w.repo.Has(KindFile, sum) {
		_, err := io.Copy(io.Discard, content)
		return err
	}
	hash := h.NewHash()
	name := w.name()
	counted := &counter{r: io.TeeReader(content, hash)}
	if err := w.fill(name, h, counted); err != nil {
		return fmt.Errorf("file %s: %w", sum, err)
	}
	if counted.n != h.Size {
		return fmt.Errorf("file %s has %d bytes instead of %d", sum, counted.n, h.Size)
	}
	if got := Checksum(hash.Sum(nil)); got != sum {
		return fmt.Errorf("file %s has the checksum %s", sum, got)
	}
	return w.place(name, KindFile, sum)
}

func (w *Writer) fill(name string, h *Header, content io.Reader) error {
	switch w.repo.mode {
	case ModeArchive:
		return fillArchive(name, h, content)
	case ModeBareUser:
		return fillBareUser(name, h, content)
	}
	return fillBare(name, h, content)
}

type counter struct {
	r io.Reader
	n uint64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += uint64(n)
	return n, err
}

func (w *Writer) name() string {
	return filepath.Join(w.tmp, strconv.FormatUint(w.next.Add(1), 10))
}

// place moves a finished file to the object's name.
func (w *Writer) place(name string, kind Kind, sum Checksum) error {
	to := w.repo.path(kind, sum)
	err := os.Rename(name, to)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		err = os.Rename(name, to)
	}
	return err
}

var deflaters = sync.Pool{New: func() any {
	z, _ := flate.NewWriter(nil, flate.BestSpeed) // fails for unknown levels only
	return z
}}

func fillArchive(name string, h *Header, content io.Reader) error {
	return create(name, 0o644, func(f *os.File) error {
		if _, err := f.Write(withLength(h.encodeArchive())); err != nil || h.Symlink() {
			return err
		}
		z := deflaters.Get().(*flate.Writer)
		defer deflaters.Put(z)
		z.Reset(f)
		if _, err := copyTo(z, content); err != nil {
			return err
		}
		return z.Close()
	})
}

func fillBareUser(name string, h *Header, content io.Reader) error {
	meta := binary.BigEndian.AppendUint32(nil, h.UID)
	meta = binary.BigEndian.AppendUint32(meta, h.GID)
	meta = append(binary.BigEndian.AppendUint32(meta, h.Mode), h.Xattrs...)
	// Enough of the mode that executables can be run from a checkout by links,
	// and never less than that the owner can read.
	perm := h.Mode&0o775 | 0o400
	if h.Symlink() {
		perm = 0o644
	}
	return create(name, perm, func(f *os.File) error {
		if h.Symlink() {
			if _, err := f.WriteString(h.Target + "\x00"); err != nil {
				return err
			}
		}
		if _, err := copyTo(f, content); err != nil {
			return err
		}
		return unix.Fsetxattr(int(f.Fd()), bareUserMeta, meta, 0)
	})
}

func fillBare(name string, h *Header, content io.Reader) error {
	xattrs, err := ParseXattrs(h.Xattrs)
	if err != nil {
		return err
	}
	if h.Symlink() {
		err = os.Symlink(h.Target, name)
	} else {
		err = create(name, 0, func(f *os.File) error { return fillBareFile(f, h, content) })
	}
	if err != nil {
		return err
	}
	if h.Symlink() {
		if err := os.Lchown(name, int(h.UID), int(h.GID)); err != nil {
			return err
		}
	}
	for _, x := range xattrs {
		if err := unix.Lsetxattr(name, x.Name, x.Value, 0); err != nil {
			return fmt.Errorf("set extended attribute %s: %w", x.Name, err)
		}
	}
	// Deployments are links to these files; their time is 0 by convention.
	epoch := unix.Timespec{}
	return unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{epoch, epoch}, unix.AT_SYMLINK_NOFOLLOW)
}

// fillBareFile writes content, owner and mode, in this order: writing and a
// change of owner take setuid bits and file capabilities away.
func fillBareFile(f *os.File, h *Header, content io.Reader) error {
	if _, err := copyTo(f, content); err != nil {
		return err
	}
	if h.UID != 0 || h.GID != 0 || os.Geteuid() != 0 || os.Getegid() != 0 {
		if err := f.Chown(int(h.UID), int(h.GID)); err != nil {
			return err
		}
	}
	return chmod(f, h.Perm())
}

// create makes a new file with the permissions, whatever the umask. With 0 it
// leaves them to fill.
func create(name string, perm uint32, fill func(*os.File) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = fill(f)
	if err == nil && perm != 0 {
		err = chmod(f, perm)
	}
	return errors.Join(err, f.Close())
}

// chmod takes the bits of the kernel, not those of package fs.
func chmod(f *os.File, perm uint32) error {
	if err := unix.Fchmod(int(f.Fd()), perm); err != nil {
		return &fs.PathError{Op: "chmod", Path: f.Name(), Err: err}
	}
	return nil
}

var buffers = sync.Pool{New: func() any { return new([128 << 10]byte) }}

// copyTo copies with a buffer that is used again, and without the detours of
// io.Copy, which would make one for each small file.
func copyTo(w io.Writer, r io.Reader) (int64, error) {
	buf := buffers.Get().(*[128 << 10]byte)
	defer buffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, buf[:])
}
