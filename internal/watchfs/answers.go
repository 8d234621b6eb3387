package watchfs

import (
	"hash/fnv"
	"os"
	"path/filepath"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// forever is how long the kernel may remember an answer: nothing changes.
const forever = 24 * time.Hour

// Lookup answers whether a directory has a name.
func (f *filesystem) Lookup(_ <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	n, id := f.look(filepath.Join(f.node(in.NodeId).path, name))
	out.SetEntryTimeout(forever)
	if n.attr.Absent {
		return fuse.OK // with the id 0: an absence that may be remembered
	}
	out.NodeId = id
	out.SetAttrTimeout(forever)
	n.fill(&out.Attr)
	return fuse.OK
}

// GetAttr answers stat(2).
func (f *filesystem) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	out.SetTimeout(forever)
	f.node(in.NodeId).fill(&out.Attr)
	return fuse.OK
}

// Readlink answers with the target, which is part of the attributes.
func (f *filesystem) Readlink(_ <-chan struct{}, in *fuse.InHeader) ([]byte, fuse.Status) {
	return []byte(f.node(in.NodeId).attr.Target), fuse.OK
}

// Open tells the kernel to spare itself the question from now on.
func (f *filesystem) Open(<-chan struct{}, *fuse.OpenIn, *fuse.OpenOut) fuse.Status {
	return fuse.ENOSYS
}

// OpenDir likewise.
func (f *filesystem) OpenDir(<-chan struct{}, *fuse.OpenIn, *fuse.OpenOut) fuse.Status {
	return fuse.ENOSYS
}

// Read gives a piece of a file. The kernel asks once and remembers.
func (f *filesystem) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	n := f.mark(in.NodeId)
	file, err := os.Open(filepath.Join(f.root, n.path))
	if err != nil {
		return nil, fuse.ToStatus(err)
	}
	defer file.Close()
	got, err := unix.Pread(int(file.Fd()), buf, int64(in.Offset))
	if err != nil {
		return nil, fuse.ToStatus(err)
	}
	return fuse.ReadResultData(buf[:got]), fuse.OK
}

// ReadDir lists a directory, sorted.
func (f *filesystem) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	n := f.mark(in.NodeId)
	entries, err := os.ReadDir(filepath.Join(f.root, n.path))
	if err != nil {
		return fuse.ToStatus(err)
	}
	for i := int(in.Offset); i < len(entries); i++ {
		e := entries[i]
		entry := fuse.DirEntry{
			Name: e.Name(), Ino: inode(filepath.Join(n.path, e.Name())),
			Mode: uint32(kindBits(e.Type())), Off: uint64(i + 1),
		}
		if !out.AddDirEntry(entry) {
			break
		}
	}
	return fuse.OK
}

// StatFs tells nothing.
func (f *filesystem) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	*out = fuse.StatfsOut{NameLen: 255, Bsize: blockSize}
	return fuse.OK
}

const blockSize = 4096

// fill gives the kernel the attributes.
func (n *node) fill(out *fuse.Attr) {
	a := n.attr
	out.Ino = inode(n.path)
	out.Mode, out.Nlink, out.Rdev = a.Mode, 1, a.Rdev
	out.Owner = fuse.Owner{Uid: a.UID, Gid: a.GID}
	out.Size, out.Blksize = a.Size, blockSize
	out.Blocks = (a.Size + 511) / 512
	when := time.Unix(a.Time, int64(a.Nanosecond))
	out.SetTimes(&when, &when, &when)
}

// inode is a number that depends on the path alone.
func inode(path string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(path))
	return h.Sum64() | 1 // 0 would be no entry
}

// kindBits is the file type as in stat(2).
func kindBits(m os.FileMode) int {
	switch {
	case m.IsDir():
		return unix.S_IFDIR
	case m&os.ModeSymlink != 0:
		return unix.S_IFLNK
	case m&os.ModeCharDevice != 0:
		return unix.S_IFCHR
	case m&os.ModeDevice != 0:
		return unix.S_IFBLK
	case m&os.ModeNamedPipe != 0:
		return unix.S_IFIFO
	case m&os.ModeSocket != 0:
		return unix.S_IFSOCK
	}
	return unix.S_IFREG
}
