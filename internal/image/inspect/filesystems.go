package inspect

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/diskfs/go-diskfs/filesystem"
	"github.com/google/uuid"

	"github.com/nestos/nosa-actions/internal/format/ext4"
	"github.com/nestos/nosa-actions/internal/format/fat"
	"github.com/nestos/nosa-actions/internal/format/xfs"
)

// Filesystem is what a file system says of itself.
type Filesystem struct {
	Type  string `json:"type"` // ext4, xfs, btrfs, vfat, iso9660, squashfs
	Label string `json:"label,omitempty"`
	UUID  string `json:"uuid,omitempty"` // of FAT the volume id
	Size  int64  `json:"size,omitzero"`  // bytes, by its own account
	Free  *int64 `json:"free,omitempty"` // bytes; missing: unknown
	Clean *bool  `json:"clean,omitempty"`
}

// probe tells what file system a part of a disk holds; nil: none that is known.
// A reader is given where its files can be read here. The error says what is
// wrong with it.
func probe(part *io.SectionReader) (*Filesystem, reader, error) {
	head := make([]byte, 66<<10)
	n, err := part.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	head = head[:n]
	at := func(offset int, magic string) bool {
		return len(head) >= offset+len(magic) && string(head[offset:][:len(magic)]) == magic
	}
	switch {
	case at(1024+0x38, "\x53\xef"):
		return probeExt4(part)
	case at(0, "XFSB"):
		return probeXFS(part)
	case at(64<<10+0x40, "_BHRfS_M"):
		return probeBtrfs(head[64<<10:])
	case fat.Is(head):
		return probeFAT(part)
	}
	return nil, nil, nil
}

func probeExt4(part *io.SectionReader) (*Filesystem, reader, error) {
	f, err := ext4.Open(part)
	if f == nil {
		return &Filesystem{Type: "ext4"}, nil, err
	}
	clean := f.Clean && !f.Recover
	r := inodes[ext4.Info]{fs: f, dirs: map[string]ext4.Info{}, facts: func(i ext4.Info) info {
		return info{Name: i.Name, Mode: i.Mode, Size: i.Size, UID: i.UID, GID: i.GID, Immutable: &i.Immutable, handle: i}
	}}
	return &Filesystem{Type: "ext4", Label: f.Label, UUID: f.UUID.String(), Size: f.Size, Free: &f.Free, Clean: &clean}, r, err
}

func probeXFS(part *io.SectionReader) (*Filesystem, reader, error) {
	f, err := xfs.Open(part)
	if f == nil {
		return &Filesystem{Type: "xfs"}, nil, err
	}
	r := inodes[xfs.Info]{fs: f, dirs: map[string]xfs.Info{}, facts: func(i xfs.Info) info {
		return info{Name: i.Name, Mode: i.Mode, Size: i.Size, UID: i.UID, GID: i.GID, Immutable: &i.Immutable, handle: i}
	}}
	return &Filesystem{Type: "xfs", Label: f.Label, UUID: f.UUID.String(), Size: f.Size, Free: &f.Free}, r, err
}

// probeBtrfs reads the superblock: struct btrfs_super_block.
func probeBtrfs(sb []byte) (*Filesystem, reader, error) {
	if len(sb) < 0x22b {
		return &Filesystem{Type: "btrfs"}, nil, errors.New("the superblock is cut short")
	}
	le := binary.LittleEndian
	size := int64(le.Uint64(sb[0x70:]))
	free := size - int64(le.Uint64(sb[0x78:]))
	return &Filesystem{Type: "btrfs", Label: cString(sb[0x12b:0x22b]), UUID: uuid.UUID(sb[0x20:0x30]).String(), Size: size, Free: &free}, nil, nil
}

func probeFAT(part *io.SectionReader) (*Filesystem, reader, error) {
	f, err := fat.Open(part)
	if err != nil {
		return &Filesystem{Type: "vfat"}, nil, err
	}
	root, err := f.Root()
	id := fmt.Sprintf("%04X-%04X", f.VolumeID>>16, f.VolumeID&0xffff)
	return &Filesystem{Type: "vfat", Label: f.Label, UUID: id, Size: f.Size}, fatFiles{f, root}, err
}

func cString(b []byte) string {
	text, _, _ := strings.Cut(string(b), "\x00")
	return text
}

// native is what our own readers of file systems with inodes have in common; I is
// what they say of a file.
type native[I any] interface {
	Root() (I, error)
	List(I) ([]I, error)
	Open(I) (*io.SectionReader, error)
	Target(I) (string, error)
	Xattrs(I) (map[string][]byte, error)
}

// attributed is a reader that knows extended attributes.
type attributed interface {
	xattrs(i info) (map[string][]byte, error)
}

// inodes reads a file system with inodes.
type inodes[I any] struct {
	fs    native[I]
	dirs  map[string]I // directories that were come by
	facts func(I) info
}

func (e inodes[I]) find(name string) (I, error) {
	if at, known := e.dirs[name]; known {
		return at, nil
	}
	at, err := e.fs.Root()
	for _, part := range parts(name) {
		if err != nil {
			return at, err
		}
		var list []I
		if list, err = e.fs.List(at); err != nil {
			return at, err
		}
		k := slices.IndexFunc(list, func(i I) bool { return e.facts(i).Name == part })
		if k < 0 {
			return at, fs.ErrNotExist
		}
		at = list[k]
	}
	return at, err
}

func (e inodes[I]) describe(i I) (info, error) {
	out := e.facts(i)
	var err error
	if out.link() {
		out.Target, err = e.fs.Target(i)
	}
	return out, err
}

func (e inodes[I]) root() (info, error) {
	i, err := e.fs.Root()
	if err != nil {
		return info{}, err
	}
	return e.describe(i)
}

func (e inodes[I]) list(dir string) ([]info, error) {
	at, err := e.find(dir)
	if err != nil {
		return nil, err
	}
	entries, err := e.fs.List(at)
	if err != nil {
		return nil, err
	}
	var list []info
	for _, entry := range entries {
		i, err := e.describe(entry)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path.Join(dir, i.Name), err)
		}
		list = append(list, i)
		if i.Mode.IsDir() {
			e.dirs[path.Join(dir, i.Name)] = entry
		}
	}
	slices.SortFunc(list, byName)
	return list, nil
}

func byName(a, b info) int { return strings.Compare(a.Name, b.Name) }

func (e inodes[I]) open(_ string, i info) (io.ReadCloser, error) {
	in, err := e.fs.Open(i.handle.(I))
	if err != nil {
		return nil, err
	}
	return io.NopCloser(in), nil
}

func (e inodes[I]) xattrs(i info) (map[string][]byte, error) { return e.fs.Xattrs(i.handle.(I)) }

// fatFiles reads FAT.
type fatFiles struct {
	fs  *fat.FS
	top []fat.Entry
}

func (fatFiles) root() (info, error) { return info{Mode: fs.ModeDir | 0o755}, nil }

func (f fatFiles) list(dir string) ([]info, error) {
	entries := f.top
	for _, part := range parts(dir) {
		k := slices.IndexFunc(entries, func(e fat.Entry) bool { return e.Dir && e.Name == part })
		if k < 0 {
			return nil, fs.ErrNotExist
		}
		var err error
		if entries, err = f.fs.List(entries[k]); err != nil {
			return nil, err
		}
	}
	var list []info
	for _, e := range entries {
		i := info{Name: e.Name, Mode: 0o755, Size: e.Size, handle: e}
		if e.Dir {
			i.Mode |= fs.ModeDir
		}
		list = append(list, i)
	}
	slices.SortFunc(list, byName)
	return list, nil
}

func (f fatFiles) open(_ string, i info) (io.ReadCloser, error) {
	text, err := f.fs.ReadFile(i.handle.(fat.Entry))
	return io.NopCloser(bytes.NewReader(text)), err
}

// diskfsFiles reads ISO 9660, as far as go-diskfs tells: without owners and
// modes.
type diskfsFiles struct{ fs filesystem.FileSystem }

func (diskfsFiles) root() (info, error) { return info{Mode: fs.ModeDir | 0o755}, nil }

func (f diskfsFiles) list(dir string) ([]info, error) {
	entries, err := f.fs.ReadDir(relative(dir))
	if err != nil {
		return nil, err
	}
	var list []info
	for _, e := range entries {
		i, err := e.Info()
		if err != nil {
			return nil, err
		}
		if i.Name() != "." && i.Name() != ".." {
			out := info{Name: i.Name(), Mode: 0o755, Size: i.Size()}
			if i.IsDir() {
				out.Mode |= fs.ModeDir
			}
			list = append(list, out)
		}
	}
	slices.SortFunc(list, byName)
	return list, nil
}

func (f diskfsFiles) open(name string, _ info) (io.ReadCloser, error) {
	return f.fs.OpenFile(relative(name), os.O_RDONLY)
}

// relative is a path as io/fs has it.
func relative(name string) string {
	if name = strings.Trim(name, "/"); name != "" {
		return name
	}
	return "."
}
