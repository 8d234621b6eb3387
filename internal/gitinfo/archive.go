package gitinfo

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/nestos/nosa-actions/internal/atomicfile"
)

// vcsNames are the files and directories that version control systems keep in
// a tree; an archive leaves them out.
var vcsNames = []string{
	".git", ".gitattributes", ".gitignore", ".gitmodules",
	".hg", ".hgignore", ".hgtags", ".svn", ".bzr", ".bzrignore", "CVS", ".cvsignore", "_darcs",
}

// File describes an archive in the form of the record beside it.
type File struct {
	Checksum     string `json:"checksum"`
	ChecksumType string `json:"checksum_type"`
	Format       string `json:"format"`
	Name         string `json:"name"`
	Size         string `json:"size"` // bytes, decimal
}

// Archive writes the tree at dir, without the files of version control, to a
// tar.gz at path with mode 0444. Of files it takes those of the list tracked, as
// Tracked gives it, for what else lies there is nobody's to publish. The same tree
// gives the same bytes: entries come by name, belong to root, are dated at, and
// have mode 0755 or 0644.
func Archive(dir string, tracked []string, path string, at time.Time) (*File, error) {
	sum := sha256.New()
	size := &counter{}
	err := atomicfile.WriteFrom(path, 0o444, func(w io.Writer) error {
		zip := gzip.NewWriter(io.MultiWriter(w, sum, size))
		if err := writeTree(zip, dir, wanted(tracked), at); err != nil {
			return err
		}
		return zip.Close()
	})
	if err != nil {
		return nil, fmt.Errorf("archiving %s: %w", dir, err)
	}
	return &File{
		Checksum:     hex.EncodeToString(sum.Sum(nil)),
		ChecksumType: "sha256",
		Format:       "tar.gz",
		Name:         filepath.Base(path),
		Size:         strconv.FormatInt(size.n, 10),
	}, nil
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// wanted are files and the directories that they lie in.
func wanted(files []string) map[string]bool {
	names := map[string]bool{}
	for _, name := range files {
		for ; name != "." && name != "/" && !names[name]; name = path.Dir(name) {
			names[name] = true
		}
	}
	return names
}

func writeTree(w io.Writer, dir string, wanted map[string]bool, at time.Time) error {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if slices.Contains(vcsNames, entry.Name()) || !wanted[filepath.ToSlash(name)] {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		return writeEntry(out, path, name, entry, at)
	})
	if err != nil {
		return err
	}
	return out.Close()
}

func writeEntry(out *tar.Writer, path, name string, entry fs.DirEntry, at time.Time) error {
	header := &tar.Header{Name: filepath.ToSlash(name), ModTime: at.Truncate(time.Second), Format: tar.FormatPAX}
	switch {
	case entry.IsDir():
		header.Typeflag, header.Mode = tar.TypeDir, 0o755
		header.Name += "/"
		return out.WriteHeader(header)
	case entry.Type() == fs.ModeSymlink:
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		header.Typeflag, header.Mode, header.Linkname = tar.TypeSymlink, 0o777, target
		return out.WriteHeader(header)
	case entry.Type().IsRegular():
		return writeFile(out, path, header)
	}
	return fmt.Errorf("%s is neither a file, a directory nor a symbolic link", name)
}

func writeFile(out *tar.Writer, path string, header *tar.Header) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	header.Typeflag, header.Size, header.Mode = tar.TypeReg, info.Size(), 0o644
	if info.Mode()&0o111 != 0 {
		header.Mode = 0o755
	}
	if err := out.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(out, f)
	return err
}

// record is the content of coreos-assembler-config-git.json.
type record struct {
	Date string `json:"date"`
	Git  Git    `json:"git"`
	File *File  `json:"file,omitzero"`
}

// WriteRecord writes what is known about a checkout, and about its archive
// unless nil, to path with mode 0444; at is the time of the build.
func WriteRecord(path string, info Info, archive *File, at time.Time) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "    ")
	if err := enc.Encode(record{Date: at.UTC().Format(time.RFC3339), Git: info.Git(), File: archive}); err != nil {
		return err
	}
	return atomicfile.Write(path, buf.Bytes(), 0o444)
}
