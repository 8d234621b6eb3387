package inspect

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/diskfs/go-diskfs/filesystem/iso9660"
	"github.com/diskfs/go-diskfs/filesystem/squashfs"
)

// rootfsName is the archive that the live system's root lies in, at squashAt.
const (
	rootfsName = "/images/pxeboot/rootfs.img"
	squashAt   = 124 // bytes: a newc header of 110 and the name, up to a multiple of 4
)

// isoSystem looks at the system that the medium boots.
func (i *inspector) isoSystem(f files) {
	root, ok := i.isoRoot(f)
	if !ok {
		return
	}
	tree := i.onlyDeployment(root)
	if tree == nil {
		return
	}
	i.readConfig(*tree)
	i.osRelease(*tree)
	i.isoKernel(f, *tree)
	i.state(root, *tree)
	i.packages(root, *tree)
}

// isoRoot opens the squashfs in the medium.
func (i *inspector) isoRoot(f files) (files, bool) {
	iso, is := f.reader.(diskfsFiles)
	if !is {
		return files{}, false
	}
	var r *squashFiles
	err := guard(func() error {
		in, err := iso.fs.OpenFile(relative(rootfsName), os.O_RDONLY)
		if err != nil {
			return nil //nolint:nilerr // told by iso
		}
		defer in.Close()
		at, is := in.(*iso9660.File)
		if !is {
			return nil
		}
		r, err = openSquash(i.disk.part(int64(at.Location())*isoBlock+squashAt, i.disk.size))
		return err
	})
	switch {
	case errors.Is(err, errLZ4):
		i.odd("iso:"+rootfsName, "%v", err)
	case err != nil:
		i.bad("iso:"+rootfsName, "the squashfs cannot be read: %v", err)
	}
	if r == nil {
		return files{}, false
	}
	return newFiles(i.ctx, r), true
}

// isoKernel holds what the menus boot against the tree, whose initramfs is followed
// by what says that the system is live.
func (i *inspector) isoKernel(f, tree files) {
	modules := tree.names("/usr/lib/modules", "*")
	if len(modules) != 1 {
		i.bad("deployment:/usr/lib/modules", "there are %d kernels instead of one", len(modules))
		return
	}
	i.img.Deployment.Kernel = modules[0]
	for _, p := range []struct{ name, source string }{
		{"/images/pxeboot/vmlinuz", "vmlinuz"}, {"/images/pxeboot/initrd.img", "initramfs.img"},
	} {
		origin := path.Join("/usr/lib/modules", modules[0], p.source)
		var size int64
		want := sha256.New()
		err := tree.stream(origin, func(at info, in io.Reader) (err error) {
			size, err = io.Copy(want, in)
			return err
		})
		if err != nil {
			i.bad("deployment:"+origin, "%s", plainError(err))
			continue
		}
		have := sha256.New()
		err = f.stream(p.name, func(at info, in io.Reader) error {
			if p.source == "vmlinuz" && at.Size != size {
				return nil // which is told below
			}
			_, err := io.CopyN(have, in, size)
			return err
		})
		if errors.Is(err, fs.ErrNotExist) {
			continue // told by iso
		}
		if err != nil || !bytes.Equal(have.Sum(nil), want.Sum(nil)) {
			i.bad("iso:"+p.name, "differs from the deployment's %s", origin)
		}
	}
}

// menuTitle is the first entry of GRUB's menu.
var menuTitle = regexp.MustCompile(`(?m)^\s*menuentry\s+(?:'([^']*)'|"([^"]*)")`)

// isoEntry notes what the medium boots, as the entry of a disk is.
func (i *inspector) isoEntry(menu []byte, kargs string) {
	e := Entry{File: "kargs.json", Kernel: "/images/pxeboot/vmlinuz", Initrd: []string{"/images/pxeboot/initrd.img", rootfsName}, Kargs: strings.Fields(kargs)}
	if title := menuTitle.FindSubmatch(menu); title != nil {
		e.Title = string(title[1]) + string(title[2])
	}
	i.img.Entries = append(i.img.Entries, e)
	var platform []string
	for _, arg := range e.Kargs {
		if id, ok := strings.CutPrefix(arg, "ignition.platform.id="); ok {
			platform = append(platform, id)
		}
	}
	if len(platform) != 1 || platform[0] != "metal" {
		i.bad("iso:/nestos/kargs.json", "the kernel argument ignition.platform.id is %q instead of metal", strings.Join(platform, " "))
	}
}

// squashFiles reads squashfs, as far as go-diskfs does.
type squashFiles struct{ fs *squashfs.FileSystem }

// Bounds of what a squashfs may say of itself: its tables are read as a whole.
const (
	maxSquashTable = 256 << 20 // bytes
	maxSquashDir   = 16 << 20  // bytes
)

// errLZ4 is told of a file system as --fast makes it: go-diskfs knows LZ4 in frames,
// and the kernel's has none.
var errLZ4 = errors.New("files in a squashfs of LZ4 cannot be looked at")

const squashLZ4 = 5

// openSquash looks at the superblock first, for where the tables lie: struct
// squashfs_super_block of Linux.
func openSquash(part *io.SectionReader) (*squashFiles, error) {
	head := make([]byte, 96)
	if _, err := io.ReadFull(io.NewSectionReader(part, 0, 96), head); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	used := le.Uint64(head[40:])
	if string(head[:4]) != "hsqs" || used > uint64(part.Size()) {
		return nil, errors.New("the superblock is damaged")
	}
	for _, table := range []int{48, 56, 64, 72, 80, 88} { // ids, xattrs, inodes, directories, fragments, exports
		at := le.Uint64(head[table:])
		if at != 1<<64-1 && (at > used || used-at > maxSquashTable) {
			return nil, errors.New("the superblock is damaged: a table lies where none can be")
		}
	}
	if le.Uint16(head[20:]) == squashLZ4 {
		return nil, errLZ4
	}
	fsys, err := squashfs.Read(storage(part, int64(used)), int64(used), 0, int64(le.Uint32(head[12:])))
	if err != nil {
		return nil, err
	}
	return &squashFiles{fsys}, nil
}

func (s *squashFiles) root() (info, error) {
	at, err := s.fs.Stat(".")
	if err != nil {
		return info{}, err
	}
	return squashInfo(at)
}

func squashInfo(at fs.FileInfo) (info, error) {
	own, is := at.Sys().(*squashfs.StatT)
	if !is {
		return info{}, fmt.Errorf("%s cannot be described", at.Name())
	}
	return info{Name: at.Name(), Mode: at.Mode(), Size: at.Size(), UID: own.UID, GID: own.GID, Target: own.LinkTarget, handle: own}, nil
}

func (s *squashFiles) list(dir string) ([]info, error) {
	entries, err := s.fs.ReadDir(relative(dir))
	if err != nil {
		return nil, err
	}
	var list []info
	for _, e := range entries {
		at, err := e.Info()
		if err != nil {
			return nil, err
		}
		i, err := squashInfo(at)
		if err != nil {
			return nil, err
		}
		if i.Mode.IsDir() && i.Size > maxSquashDir {
			return nil, fmt.Errorf("the directory %s is too large", i.Name)
		}
		list = append(list, i)
	}
	slices.SortFunc(list, byName)
	return list, nil
}

func (s *squashFiles) open(name string, _ info) (io.ReadCloser, error) {
	return s.fs.OpenFile(relative(name), os.O_RDONLY)
}

func (s *squashFiles) xattrs(i info) (map[string][]byte, error) {
	out := map[string][]byte{}
	for key, value := range i.handle.(*squashfs.StatT).Xattrs {
		out[key] = []byte(value)
	}
	return out, nil
}
