package job

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/nestos/nosa-actions/internal/plan"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// restored is the directory, in the runner's temporary one, that actions/cache
// unpacks to and saves; the action.yml files name it too. Only packages and the
// entry's key ever lie in it: the metadata of repositories decides what a good
// package is, so it is never taken from a cache.
const restored = "nosa-rpms"

// PackageCache is the use that one fetch makes of a cache of packages.
type PackageCache struct {
	Keys CacheKeys
	here map[string]fs.FileInfo // files that came from the cache
}

// AdmitPackages puts what actions/cache has restored where fetch looks first.
// Nothing is trusted yet: fetch compares each file with the repositories'
// metadata, read anew. What is no plain file of its own is dropped, as another
// name of it could change it after that.
func (j *Job) AdmitPackages(keys CacheKeys) (*PackageCache, error) {
	c := &PackageCache{Keys: keys, here: map[string]fs.FileInfo{}}
	from := filepath.Join(j.temp, restored)
	if info, err := os.Lstat(from); err != nil || !info.IsDir() || len(keys.Restore) == 0 {
		return c, os.RemoveAll(from)
	}
	dir, err := workdir.Open(j.Workdir, j.Arch)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir.PackagesDir(), 0o755); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if err := c.admit(e, from, dir.PackagesDir()); err != nil {
			return nil, fmt.Errorf("take package from the cache: %w", err)
		}
	}
	j.Step.Log("%d packages from the cache, to be verified", len(c.here))
	return c, os.RemoveAll(from)
}

func (c *PackageCache) admit(e fs.DirEntry, from, to string) error {
	info, err := e.Info()
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() || stat.Nlink != 1 || !strings.HasSuffix(e.Name(), ".rpm") {
		return nil
	}
	target := filepath.Join(to, e.Name())
	if _, err := os.Lstat(target); err == nil {
		return nil // what this machine has is not replaced
	}
	if err := relocate(filepath.Join(from, e.Name()), target); err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(target, 0o644), os.Chown(target, os.Geteuid(), os.Getegid())); err != nil {
		return err
	}
	c.here[e.Name()], err = os.Lstat(target)
	return err
}

// kept tells whether a file is still the one from the cache: fetch removes what
// is not right and downloads it.
func (c *PackageCache) kept(dir, name string) bool {
	was, ok := c.here[name]
	if !ok {
		return false
	}
	is, err := os.Lstat(filepath.Join(dir, name))
	return err == nil && os.SameFile(was, is) && was.ModTime().Equal(is.ModTime())
}

// Fetched says what a fetch left and what of it came from the cache.
type Fetched struct {
	Packages, Downloaded   int
	Bytes, DownloadedBytes int64
	SaveKey                string // "": the cache need not be saved
}

// OfferPackages drops the files that the fetch did not want and, if the rest is
// not what the cache had, lays it out for actions/cache to save.
func (j *Job) OfferPackages(c *PackageCache) (Fetched, error) {
	var f Fetched
	dir, err := workdir.Open(j.Workdir, j.Arch)
	if err != nil {
		return f, err
	}
	list, err := dir.Fetched()
	if err != nil || len(list) == 0 {
		return f, err
	}
	names := sha256.New()
	wanted, spoiled := map[string]bool{}, false
	for _, p := range list {
		f.Packages++
		f.Bytes += p.Size
		wanted[p.File] = true
		fmt.Fprintf(names, "%s %d\n", p.File, p.Size)
		if !c.kept(dir.PackagesDir(), p.File) {
			f.Downloaded++
			f.DownloadedBytes += p.Size
			spoiled = spoiled || c.here[p.File] != nil
		}
	}
	if err := c.drop(dir.PackagesDir(), wanted); err != nil {
		return f, err
	}
	if len(c.Keys.Restore) == 0 || (f.Downloaded == 0 && len(c.here) == len(wanted)) {
		return f, nil
	}
	if !plan.Cacheable(f.Bytes, j.arches) {
		j.Step.Log("packages of %s are too many for the cache of a repository, and are not saved there", plan.Bytes.Text(f.Bytes))
		return f, nil
	}
	f.SaveKey = c.Keys.Key + "-" + hex.EncodeToString(names.Sum(nil))[:16]
	if spoiled { // no cache is ever written anew, so a good one needs another name
		f.SaveKey += "-" + j.Step.Event().RunID
	}
	return f, j.layOut(dir.PackagesDir(), list, f.SaveKey)
}

// drop removes what came from the cache and is of no use; what else lies there is
// somebody's own.
func (c *PackageCache) drop(dir string, wanted map[string]bool) error {
	for name := range c.here {
		if wanted[name] {
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// layOut makes the directory that is saved, with the key that it is saved under. It
// costs no room where links can be made.
func (j *Job) layOut(from string, list []workdir.FetchedPackage, key string) error {
	to, err := j.Fresh(restored)
	if err != nil {
		return err
	}
	for _, p := range list {
		source, target := filepath.Join(from, p.File), filepath.Join(to, p.File)
		if os.Link(source, target) == nil {
			continue
		}
		if err := copyTo(source, target); err != nil {
			return fmt.Errorf("lay out the cache: %w", err)
		}
	}
	return os.WriteFile(filepath.Join(to, entryKey), []byte(key), 0o644)
}
