package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

var errEnough = errors.New("enough")

// makeData makes cache/ of real packages, and builds/ with an archive of
// compressed layers and a raw image, whose data are files of this machine with
// holes between.
func (b *bench) makeData(_ context.Context, pool string) error {
	cache, build := filepath.Join(b.src, "cache", "rpms"), filepath.Join(b.src, "builds", "1", "x86_64")
	if err := errors.Join(os.MkdirAll(cache, 0o755), os.MkdirAll(build, 0o755)); err != nil {
		return err
	}
	if err := packages(pool, cache, b.sizes.cache<<20); err != nil {
		return err
	}
	layers, err := os.Create(filepath.Join(build, "os-ostree.x86_64.ociarchive"))
	if err != nil {
		return err
	}
	defer layers.Close()
	if _, err := io.CopyN(layers, rand.Reader, b.sizes.data<<20/5); err != nil {
		return err
	}
	if err := image(filepath.Join(build, "os-metal.x86_64.raw"), b.sizes.image<<20, b.sizes.data<<20); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.src, "builds", "builds.json"), []byte("{}\n"), 0o644); err != nil {
		return err
	}
	return os.Symlink("1", filepath.Join(b.src, "builds", "latest"))
}

// packages copies the pool's, as often as it takes.
func packages(pool, dir string, size int64) error {
	list, err := filepath.Glob(filepath.Join(pool, "*.rpm"))
	if err != nil || len(list) == 0 {
		return fmt.Errorf("no packages in %s; run make pool", pool)
	}
	for i := 0; size > 0; i++ {
		data, err := os.ReadFile(list[i%len(list)])
		if err != nil {
			return err
		}
		// A second copy is another package: its content is not found again.
		for at := range data {
			data[at] ^= byte(i / len(list))
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%s", i, filepath.Base(list[i%len(list)]))), data, 0o644); err != nil {
			return err
		}
		size -= int64(len(data))
	}
	return nil
}

// image writes files of this machine, 4 KiB aligned as file systems do, until
// there are enough, and spreads them over the size.
func image(path string, size, data int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var at, written int64
	err = filepath.WalkDir("/usr", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // what cannot be read is passed over
		}
		content, err := os.ReadFile(name)
		if err != nil || len(content) > 64<<20 {
			return nil //nolint:nilerr // as above
		}
		if _, err := f.WriteAt(content, at); err != nil {
			return err
		}
		written += int64(len(content))
		at += (int64(len(content)) + 4095) &^ 4095
		if due := int64(float64(written) / float64(data) * float64(size)); at < due && due-at > 64<<20 {
			at = due &^ 4095 // a hole, every now and then
		}
		if written >= data || at >= size {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	unix.Sync()
	return f.Close()
}
