package rootfs

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cavaliergopher/cpio"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/watchfs"
)

// initramfs is what dracut made.
type initramfs struct {
	image []byte
	// stamped are the files in it that contain the stand-in.
	stamped []stampedFile
	record  *watchfs.Record // of what dracut looked at; nil if unknown
}

// stampedFile is a file of the initramfs that depends on the version.
type stampedFile struct {
	Path string `json:"path"` // relative
	Mode uint32 `json:"mode"` // as in stat(2)
	UID  uint32 `json:"uid"`
	GID  uint32 `json:"gid"`
	Text string `json:"text"`
}

// collectInitramfs reads what dracut left in its directory: the image, and with
// --keep the files in it below dracut.*/initramfs.
func collectInitramfs(dir string, record *watchfs.Record) (*initramfs, error) {
	i := &initramfs{record: record}
	var err error
	if i.image, err = os.ReadFile(filepath.Join(dir, "initramfs.img")); err != nil {
		return nil, err
	}
	roots, err := filepath.Glob(filepath.Join(dir, "dracut.*/initramfs"))
	if err != nil {
		return nil, err
	}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			return i.addIfStamped(path, strings.TrimPrefix(path, root+"/"))
		})
		if err != nil {
			return nil, err
		}
	}
	return i, nil
}

func (i *initramfs) addIfStamped(path, rel string) error {
	text, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(text, []byte(standIn)) {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return err
	}
	i.stamped = append(i.stamped, stampedFile{Path: rel, Mode: st.Mode, UID: st.Uid, GID: st.Gid, Text: string(text)})
	return nil
}

// write writes the image for a version, with the time of all that is added.
func (i *initramfs) write(path, version string, when time.Time) error {
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	err = i.fill(f, version, when)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

func (i *initramfs) fill(w io.Writer, version string, when time.Time) error {
	if _, err := w.Write(i.image); err != nil || len(i.stamped) == 0 {
		return err
	}
	const alignment = 4 // of an archive's beginning
	if _, err := w.Write(make([]byte, -len(i.image)&(alignment-1))); err != nil {
		return err
	}
	archive := cpio.NewWriter(w)
	for _, file := range i.stamped {
		text := strings.ReplaceAll(file.Text, standIn, version)
		err := archive.WriteHeader(&cpio.Header{
			Name: file.Path, Mode: cpio.FileMode(file.Mode), Uid: int(file.UID), Guid: int(file.GID),
			ModTime: when, Size: int64(len(text)),
		})
		if err != nil {
			return err
		}
		if _, err := io.WriteString(archive, text); err != nil {
			return err
		}
	}
	return archive.Close()
}
