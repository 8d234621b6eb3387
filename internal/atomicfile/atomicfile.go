// Package atomicfile makes files appear whole or not at all: content goes to a
// temporary name in the same directory, is flushed to the disk, and is then
// renamed over the final name.
package atomicfile

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Write gives path the content data and the permission bits perm, whatever the
// umask.
func Write(path string, data []byte, perm fs.FileMode) error {
	return renameio.WriteFile(path, data, perm, renameio.IgnoreUmask())
}

// WriteFrom does as Write with the content that fill writes. When fill fails,
// path stays as it was.
func WriteFrom(path string, perm fs.FileMode, fill func(io.Writer) error) error {
	f, err := renameio.NewPendingFile(path, renameio.WithPermissions(perm), renameio.IgnoreUmask())
	if err != nil {
		return err
	}
	defer f.Cleanup() //nolint:errcheck // nothing to clean after success; else the first error counts
	if err := fill(f); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}

// Symlink makes path a symbolic link to target, replacing what was there.
func Symlink(target, path string) error { return renameio.Symlink(target, path) }

// Move flushes the file or the files of the directory at from and renames it to
// to, on the same file system, then flushes the directory that holds it.
func Move(from, to string) error {
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !(entry.Type().IsRegular() || entry.IsDir()) {
			return err
		}
		return Flush(path)
	})
	if err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return Flush(filepath.Dir(to))
}

// Flush waits until a file or directory is on the disk.
func Flush(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
