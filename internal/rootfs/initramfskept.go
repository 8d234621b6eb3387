package rootfs

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nestos/nosa-actions/internal/watchfs"
)

// keptImages are initramfs images with the record of what dracut looked at when
// it made them, each in a directory named by the image. dir is empty if none are
// kept. docs/decisions says why such an image is the one that dracut would make.
type keptImages struct {
	dir, key string
}

// maxKept is how many images are kept: variants of a config may take turns.
const maxKept = 3

// keptRecord is the file beside a kept image.
type keptRecord struct {
	Key    string          `json:"key"`
	SHA256 string          `json:"sha256"` // of the image
	Seen   *watchfs.Record `json:"seen"`
}

const (
	keptImageName  = "initramfs.img"
	keptRecordName = "record.json"
)

// find returns the image of a call on a tree with the same answers to all that
// dracut asked, or nil. What cannot be read is passed over: it is made anew.
func (k keptImages) find(root string) *initramfs {
	for _, dir := range k.entries() {
		text, err := os.ReadFile(filepath.Join(dir, keptRecordName))
		if err != nil {
			continue
		}
		var r keptRecord
		if json.Unmarshal(text, &r) != nil || r.Key != k.key || r.Seen == nil {
			continue
		}
		if differs, err := r.Seen.Differs(root); err != nil || differs != "" {
			continue
		}
		image, err := os.ReadFile(filepath.Join(dir, keptImageName))
		if err != nil || digest(image) != r.SHA256 {
			continue
		}
		_ = os.Chtimes(dir, time.Time{}, time.Now()) // the last to be thrown away
		return &initramfs{image: image, record: r.Seen}
	}
	return nil
}

// add keeps an image whose record is known.
func (k keptImages) add(i *initramfs) error {
	if k.dir == "" || i.record == nil {
		return nil
	}
	r := keptRecord{Key: k.key, SHA256: digest(i.image), Seen: i.record}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(k.dir, 0o755); err != nil {
		return err
	}
	half, err := os.MkdirTemp(k.dir, ".half-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(half)
	for name, data := range map[string][]byte{keptImageName: i.image, keptRecordName: text} {
		if err := os.WriteFile(filepath.Join(half, name), data, 0o644); err != nil {
			return err
		}
	}
	name := sha256.Sum256(text)
	err = os.Rename(half, filepath.Join(k.dir, hex.EncodeToString(name[:16])))
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keep the initramfs: %w", err)
	}
	return k.prune()
}

// entries are the directories of kept images, the newest first.
func (k keptImages) entries() []string {
	if k.dir == "" {
		return nil
	}
	list, err := os.ReadDir(k.dir)
	if err != nil {
		return nil
	}
	age := map[string]time.Time{}
	var dirs []string
	for _, e := range list {
		info, err := e.Info()
		if err != nil {
			continue
		}
		path := filepath.Join(k.dir, e.Name())
		age[path] = info.ModTime()
		dirs = append(dirs, path)
	}
	slices.SortFunc(dirs, func(a, b string) int { return age[b].Compare(age[a]) })
	return dirs
}

// prune throws the oldest away, and what a killed run left.
func (k keptImages) prune() error {
	for i, dir := range k.entries() {
		if i < maxKept {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
