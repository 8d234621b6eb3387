package job

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/action"
)

// CacheKeys are the names of a cache of packages.
type CacheKeys struct {
	Tier Tier
	// Key is what a cache of exactly these inputs begins with; that of a saved
	// cache goes on with a digest of its packages.
	Key string
	// Restore are the beginnings of keys to take instead, the best first; none:
	// no cache is read.
	Restore []string
}

// cacheFormat is in all keys; another number makes old caches unknown.
const cacheFormat = "nosa-rpms-1"

// MaxRestore is how many of CacheKeys.Restore there can be; action.yml has an
// output for each.
const MaxRestore = 4

var cachePrefix = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// ReadCache reads the inputs of the cache.
func ReadCache(s *action.Step) (use bool, prefix string) {
	use, prefix = s.Bool("cache"), s.Required("cache-prefix")
	if prefix != "" && !cachePrefix.MatchString(prefix) {
		s.Wrong("cache-prefix", fmt.Sprintf("is %q", prefix), "write up to 64 letters, digits, dots, dashes and underscores")
	}
	return use, prefix
}

// CacheKeys computes the names of the cache for the config of the job. Our own
// words come first, so that nothing of a repository's can look like another
// tier's.
func (j *Job) CacheKeys(prefix, yumrepos string) (CacheKeys, error) {
	tier := tierOf(j.Step.Event())
	dirs := []string{j.Config}
	if yumrepos != "" {
		dirs = append(dirs, inside(j.workspace, yumrepos))
	}
	digest, err := wishes(dirs, "manifest-lock."+j.Arch.RPM)
	if err != nil {
		return CacheKeys{}, err
	}
	keys := CacheKeys{Tier: tier, Key: keyBegin(tier, prefix, j.Arch.RPM) + digest}
	for _, t := range tier.reads() {
		keys.Restore = append(keys.Restore, keyBegin(t, prefix, j.Arch.RPM)+digest+"-")
	}
	for _, t := range tier.reads() {
		keys.Restore = append(keys.Restore, keyBegin(t, prefix, j.Arch.RPM))
	}
	return keys, nil
}

func keyBegin(t Tier, prefix, arch string) string {
	return fmt.Sprintf("%s-%s-%s-%s-", cacheFormat, t, prefix, arch)
}

// wishes is a digest of what decides on packages: the lockfiles, if there is one
// that names all packages, or else everything that may be part of the manifest,
// and the .repo files. It need not be exact: what a cache lacks is downloaded, and
// what it has too much is dropped.
func wishes(dirs []string, lockfile string) (string, error) {
	var files []string
	for _, dir := range dirs {
		list, err := declarations(dir)
		if err != nil {
			return "", err
		}
		files = append(files, list...)
	}
	locked := slices.ContainsFunc(files, func(f string) bool { return strings.HasPrefix(filepath.Base(f), lockfile+".") })
	sum := sha256.New()
	for _, file := range files {
		if locked && !strings.HasPrefix(filepath.Base(file), "manifest-lock.") {
			continue
		}
		if err := addTo(sum, file); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// notWishes are directories of a config that say nothing about packages.
var notWishes = []string{".git", ".github", "overlay.d", "tests", "live"}

// declarations lists the files of a config that may say what to install. A config
// can be a stranger's: links are not followed.
func declarations(dir string) ([]string, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	err = filepath.WalkDir(real, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != real && slices.Contains(notWishes, e.Name()):
			return filepath.SkipDir
		case e.Type().IsRegular() && slices.Contains([]string{".yaml", ".yml", ".json", ".repo"}, filepath.Ext(path)):
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

func addTo(sum io.Writer, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	one := sha256.New()
	if _, err := io.Copy(one, f); err != nil {
		return err
	}
	_, err = fmt.Fprintf(sum, "%s %x\n", filepath.Base(file), one.Sum(nil))
	return err
}
