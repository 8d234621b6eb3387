package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// info is what a file system says of one file.
type info struct {
	Name     string
	Mode     fs.FileMode
	Size     int64
	UID, GID uint32
	Target   string // of a symbolic link

	// Immutable is nil where the file system cannot be asked.
	Immutable *bool

	handle any // the reader's own
}

func (i info) regular() bool { return i.Mode.IsRegular() }
func (i info) link() bool    { return i.Mode&fs.ModeSymlink != 0 }

// reader reads a file system that is not mounted. Paths begin with a slash;
// links are not followed. It may be used by one goroutine at a time.
type reader interface {
	// list gives the files of a directory, ordered by name; the error for one
	// that is not there is fs.ErrNotExist.
	list(dir string) ([]info, error)
	root() (info, error)
	open(path string, i info) (io.ReadCloser, error)
}

// files reads a tree inside a file system, as if it were the root: links are
// followed, and none leads out of it.
type files struct {
	reader
	ctx  context.Context // ends the reading of files
	base string          // "" or a path without a slash at the end
	seen *cache
}

// cache keeps directories that were listed.
type cache struct {
	dirs    map[string][]info
	entries int // in all of them
}

// maxCached bounds the entries that are kept.
const maxCached = 1 << 18

func newFiles(ctx context.Context, r reader) files {
	return files{reader: r, ctx: ctx, seen: &cache{dirs: map[string][]info{}}}
}

// below is the tree of a directory.
func (f files) below(dir string) files {
	f.base = path.Join(f.base, dir)
	return f
}

const maxLinks = 40 // as the kernel has it

var errLinks = errors.New("too many symbolic links")

// readDir lists a directory, of which no part is a link.
func (f files) readDir(dir string) (list []info, err error) {
	full := path.Join("/", f.base, dir)
	if list, ok := f.seen.dirs[full]; ok {
		return list, nil
	}
	err = guard(func() error {
		list, err = f.reader.list(full)
		return err
	})
	if err != nil {
		return nil, err
	}
	if f.seen.entries += len(list) + 1; f.seen.entries > maxCached {
		clear(f.seen.dirs)
		f.seen.entries = len(list) + 1
	}
	f.seen.dirs[full] = list
	return list, nil
}

// resolve finds a file. The path that is returned has no links in it, but for
// the last part where follow is false.
func (f files) resolve(name string, follow bool) (string, info, error) {
	rest, at := parts(name), "/"
	here, err := f.dirInfo()
	for links := 0; len(rest) > 0 && err == nil; {
		part := rest[0]
		rest = rest[1:]
		if part == ".." {
			at = path.Dir(at)
			here.Mode = fs.ModeDir
			continue
		}
		if !here.Mode.IsDir() {
			return "", info{}, notThere(name)
		}
		var next info
		if next, err = f.entry(at, part); err != nil {
			return "", info{}, wrapPath(name, err)
		}
		if !next.link() || (len(rest) == 0 && !follow) {
			at, here = path.Join(at, part), next
			continue
		}
		if links++; links > maxLinks {
			return "", info{}, wrapPath(name, errLinks)
		}
		rest = append(parts(next.Target), rest...)
		if path.IsAbs(next.Target) {
			at = "/"
		}
		here.Mode = fs.ModeDir
	}
	return at, here, err
}

func parts(name string) []string {
	return slices.DeleteFunc(strings.Split(name, "/"), func(p string) bool { return p == "" || p == "." })
}

func notThere(name string) error { return wrapPath(name, fs.ErrNotExist) }

func wrapPath(name string, err error) error { return &fs.PathError{Op: "read", Path: name, Err: err} }

// dirInfo describes the top of the tree.
func (f files) dirInfo() (here info, err error) {
	if f.base != "" {
		dir, name := path.Split(path.Join("/", f.base))
		top := f
		top.base = ""
		return top.entry(dir, name)
	}
	err = guard(func() error {
		here, err = f.reader.root()
		return err
	})
	return here, err
}

func (f files) entry(dir, name string) (info, error) {
	list, err := f.readDir(dir)
	if err != nil {
		return info{}, err
	}
	at, ok := slices.BinarySearchFunc(list, name, func(i info, name string) int { return strings.Compare(i.Name, name) })
	if !ok {
		return info{}, fs.ErrNotExist
	}
	return list[at], nil
}

// lstat describes a file and does not follow it if it is a link.
func (f files) lstat(name string) (info, error) {
	_, i, err := f.resolve(name, false)
	return i, err
}

// has tells whether there is such a file; one that cannot be looked for is not.
func (f files) has(name string) bool {
	_, _, err := f.resolve(name, true)
	return err == nil
}

// entries lists a directory.
func (f files) entries(dir string) ([]info, error) {
	at, i, err := f.resolve(dir, true)
	if err != nil {
		return nil, err
	}
	if !i.Mode.IsDir() {
		return nil, wrapPath(dir, errors.New("is no directory"))
	}
	return f.readDir(at)
}

// names lists the names in a directory that satisfy a pattern of path.Match;
// none where it cannot be read.
func (f files) names(dir, pattern string) []string {
	list, _ := f.entries(dir)
	var names []string
	for _, i := range list {
		if ok, _ := path.Match(pattern, i.Name); ok {
			names = append(names, i.Name)
		}
	}
	return names
}

// maxText bounds what is taken for a text or a record.
const maxText = 16 << 20

// text reads a small file.
func (f files) text(name string) ([]byte, error) {
	var text []byte
	err := f.stream(name, func(i info, in io.Reader) (err error) {
		if i.Size > maxText {
			return fmt.Errorf("has %d bytes, which is too many for what it should be", i.Size)
		}
		text, err = io.ReadAll(io.LimitReader(in, maxText))
		if err == nil && int64(len(text)) != i.Size {
			err = fmt.Errorf("%d bytes of %d can be read", len(text), i.Size)
		}
		return err
	})
	return text, err
}

// stream reads a file of any size.
func (f files) stream(name string, read func(info, io.Reader) error) error {
	at, i, err := f.resolve(name, true)
	if err != nil {
		return err
	}
	if !i.regular() {
		return wrapPath(name, errors.New("is no regular file"))
	}
	if err := f.read(at, i, func(in io.Reader) error { return read(i, in) }); err != nil {
		return wrapPath(name, err)
	}
	return nil
}

// read reads the file at a path in which no part is a link.
func (f files) read(at string, i info, read func(io.Reader) error) error {
	return guard(func() error {
		in, err := f.reader.open(path.Join("/", f.base, at), i)
		if err != nil {
			return err
		}
		defer in.Close()
		return read(&lively{ctx: f.ctx, in: in})
	})
}

// guard turns a panic of a library, which foreign bytes led astray, into an
// error.
func guard(work func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the file system is damaged: %v", r)
		}
	}()
	return work()
}

// lively ends the reading of a file that gives neither bytes nor an end, and of
// one that is larger than anybody waits for.
type lively struct {
	ctx   context.Context
	in    io.Reader
	still int
}

func (l *lively) Read(p []byte) (int, error) {
	if l.ctx.Err() != nil {
		return 0, context.Cause(l.ctx)
	}
	n, err := l.in.Read(p)
	if n > 0 || err != nil {
		l.still = 0
		return n, err
	}
	if l.still++; l.still > 100 {
		return 0, io.ErrNoProgress
	}
	return 0, nil
}
