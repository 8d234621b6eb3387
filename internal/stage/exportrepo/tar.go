package exportrepo

import (
	"archive/tar"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/atomicfile"
)

// notServed are the parts of a repository that are of use only to its owner.
var notServed = map[string]bool{".lock": true, "tmp": true, "state": true}

// writeTar packs a repository as the directory "repo", in the order of the names
// and with nothing of the machine: the same content gives the same bytes. It is
// not compressed, as the objects are already.
func writeTar(path, repo string) error {
	return atomicfile.WriteFrom(path, 0o644, func(w io.Writer) error {
		t := tar.NewWriter(w)
		err := filepath.WalkDir(repo, func(file string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name, err := filepath.Rel(repo, file)
			if err != nil {
				return err
			}
			if notServed[name] {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			return addMember(t, file, strings.TrimSuffix("repo/"+name, "/."), d)
		})
		if err != nil {
			return err
		}
		return t.Close()
	})
}

func addMember(t *tar.Writer, file, name string, d fs.DirEntry) error {
	hdr := &tar.Header{Name: name, Mode: 0o644, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	if d.IsDir() {
		hdr.Typeflag, hdr.Name, hdr.Mode = tar.TypeDir, name+"/", 0o755
		return t.WriteHeader(hdr)
	}
	info, err := d.Info()
	if err != nil {
		return err
	}
	hdr.Typeflag, hdr.Size = tar.TypeReg, info.Size()
	if err := t.WriteHeader(hdr); err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(t, f)
	return err
}
