// Package watchfs shows a directory to programs through a read-only mount and
// keeps a record of all that they ask of it: which names they look for, those
// that do not exist too, which files they read, which directories they list.
//
// A program that gives the same result for the same input can be spared when the
// record of an earlier run holds for the directory of today. The record is exact,
// not a guess at what a program may read: the mount shows nothing that the record
// leaves out. Inode numbers are derived from paths, link counts, the sizes of
// directories and extended attributes are not shown at all, and times later than
// a limit are shown as that limit.
package watchfs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// View is a mounted view of a directory.
type View struct {
	fs     *filesystem
	server *fuse.Server
}

// Mount shows the directory dir at the directory at, to processes of the calling
// user only. Times later than newest are shown as newest. The directory must not
// change while it is shown. It needs the right to mount and /dev/fuse.
func Mount(dir, at string, newest time.Time) (*View, error) {
	v := &View{fs: &filesystem{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		root:          dir, newest: newest, ids: map[string]uint64{},
	}}
	if first, _ := v.fs.look("/"); !first.attr.isDir() {
		return nil, fmt.Errorf("%s is no directory", dir)
	}
	var err error
	v.server, err = fuse.NewServer(v.fs, at, &fuse.MountOptions{
		FsName: dir, Name: "watchfs", Options: []string{"default_permissions", "ro", "suid", "dev"},
		DirectMountStrict: true, DisableXAttrs: true, DisableReadDirPlus: true, EnableSymlinkCaching: true,
		MaxReadAhead: 1 << 20, MaxWrite: 1 << 20, Logger: log.New(io.Discard, "", 0),
	})
	if err != nil {
		return nil, fmt.Errorf("mount a view of %s: %w", dir, err)
	}
	go v.server.Serve()
	if err := v.server.WaitMount(); err != nil {
		return nil, fmt.Errorf("mount a view of %s: %w", dir, err)
	}
	return v, nil
}

// Close takes the mount away.
func (v *View) Close() error { return v.server.Unmount() }

// Record returns what was asked so far.
func (v *View) Record() (*Record, error) { return v.fs.record() }

// filesystem answers the kernel. Each path that was looked for is a node, whose
// id is its place in nodes plus 1: the kernel's id of the root is 1.
type filesystem struct {
	fuse.RawFileSystem
	root   string
	newest time.Time

	mu    sync.Mutex
	nodes []*node
	ids   map[string]uint64 // by path
}

// node is a path and what was asked of it.
type node struct {
	path         string
	attr         Attr
	read, listed bool // a file, a directory
}

// look finds the node of a path, or makes it.
func (f *filesystem) look(path string) (*node, uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id, ok := f.ids[path]; ok {
		return f.nodes[id-1], id
	}
	n := &node{path: path, attr: lstat(filepath.Join(f.root, path), f.newest)}
	f.nodes = append(f.nodes, n)
	id := uint64(len(f.nodes))
	f.ids[path] = id
	return n, id
}

// node returns the node of an id, which the kernel has from us.
func (f *filesystem) node(id uint64) *node {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nodes[id-1]
}

// mark notes that a file was read or a directory listed.
func (f *filesystem) mark(id uint64) *node {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.nodes[id-1]
	if n.attr.isDir() {
		n.listed = true
	} else {
		n.read = true
	}
	return n
}

// record gathers what was asked, and digests what was read.
func (f *filesystem) record() (*Record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	sums := make([]string, len(f.nodes))
	err := each(f.nodes, func(i int, n *node) (err error) {
		if n.read || n.listed {
			sums[i], err = content(filepath.Join(f.root, n.path), n.attr)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("record what was read: %w", err)
	}
	r := &Record{Newest: f.newest.Unix(), Paths: make(map[string]Seen, len(f.nodes))}
	for i, n := range f.nodes {
		r.Paths[n.path] = Seen{Attr: n.attr, Content: sums[i]}
	}
	return r, nil
}

// content is a digest of a file's bytes or of a directory's names.
func content(path string, a Attr) (string, error) {
	if a.isDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			return "", err
		}
		h := sha256.New()
		for _, e := range entries {
			fmt.Fprintf(h, "%s %q\n", e.Type(), e.Name())
		}
		return hex.EncodeToString(h.Sum(nil)), nil
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
