package handoff

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// inode tells the names of one file apart from different files.
type inode struct{ dev, ino uint64 }

// surveyor lists what goes into a pack.
type surveyor struct {
	root    string
	skip    func(string) bool
	entries map[string]Entry
	inodes  map[string]inode // of files with several names
}

// survey lists the chosen paths and all below them, sorted, without digests.
func survey(root string, o PackOptions) (*Manifest, error) {
	s := surveyor{root: root, skip: o.Skip, entries: map[string]Entry{}, inodes: map[string]inode{}}
	if s.skip == nil {
		s.skip = func(string) bool { return false }
	}
	for _, p := range o.Paths {
		if err := checkPath(p); err != nil {
			return nil, fmt.Errorf("%q: %w", p, err)
		}
		if err := s.above(p); err != nil {
			return nil, err
		}
		if err := s.walk(p); err != nil {
			return nil, err
		}
	}
	return &Manifest{Format: Format, Kind: o.Kind, Arch: o.Arch, Labels: o.Labels, Entries: s.sorted()}, nil
}

// above adds the directories that p lies in.
func (s *surveyor) above(p string) error {
	dir := path.Dir(p)
	if dir == "." {
		return nil
	}
	if err := s.above(dir); err != nil {
		return err
	}
	e, err := s.add(dir)
	if err == nil && e.Type != Dir {
		return fmt.Errorf("%s is not a directory", dir)
	}
	return err
}

func (s *surveyor) walk(p string) error {
	return filepath.WalkDir(filepath.Join(s.root, p), func(full string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(s.root, full)
		if err != nil {
			return err
		}
		if s.skip(rel) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		_, err = s.add(rel)
		return err
	})
}

func (s *surveyor) add(rel string) (Entry, error) {
	if e, ok := s.entries[rel]; ok {
		return e, nil
	}
	full := filepath.Join(s.root, rel)
	var st unix.Stat_t
	if err := unix.Lstat(full, &st); err != nil {
		return Entry{}, &fs.PathError{Op: "lstat", Path: full, Err: err}
	}
	e := Entry{
		Path: Name(rel), Mode: int64(st.Mode & permissionsMask),
		UID: int(st.Uid), GID: int(st.Gid), MTime: st.Mtim.Nano(),
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		e.Type = Dir
	case unix.S_IFREG:
		e.Type, e.Size = File, st.Size
		if st.Nlink > 1 {
			s.inodes[rel] = inode{st.Dev, st.Ino}
		}
	case unix.S_IFLNK:
		target, err := os.Readlink(full)
		if err != nil {
			return Entry{}, err
		}
		e.Type, e.Link = Symlink, Name(target)
	default:
		return Entry{}, fmt.Errorf("%s: a pack holds no devices, pipes or sockets", full)
	}
	var err error
	if e.Xattrs, err = readXattrs(full); err != nil {
		return Entry{}, fmt.Errorf("read extended attributes of %s: %w", full, err)
	}
	s.entries[rel] = e
	return e, nil
}

// sorted orders the entries so that directories come before their content, and
// makes all but the first name of a file hard links.
func (s *surveyor) sorted() []Entry {
	names := slices.SortedFunc(maps.Keys(s.entries), func(a, b string) int {
		return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
	})
	first := map[inode]Name{}
	list := make([]Entry, 0, len(names))
	for _, name := range names {
		e := s.entries[name]
		if id, ok := s.inodes[name]; ok {
			if target, seen := first[id]; seen {
				e.Type, e.Link, e.Size, e.Xattrs = HardLink, target, 0, nil
			} else {
				first[id] = e.Path
			}
		}
		list = append(list, e)
	}
	return list
}

// readXattrs reads the attributes of path itself, not of what it links to.
func readXattrs(path string) (map[string][]byte, error) {
	buf := make([]byte, maxXattrs)
	n, err := unix.Llistxattr(path, buf)
	if errors.Is(err, unix.ENOTSUP) || n == 0 && err == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	attrs := map[string][]byte{}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00") {
		value := make([]byte, maxXattrs)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		attrs[name] = value[:n:n]
	}
	return attrs, nil
}
