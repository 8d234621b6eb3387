package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/handoff"
)

// cacheRecord is what fetch leaves in cache: which packages it chose.
const cacheRecord = "packages.json"

// cacheEntry begins the name of a base that is an entry of actions/cache; its key
// follows.
const cacheEntry = "the cache entry "

// entryKey is the file in the directory of actions/cache that says under which key
// it was saved, so that another job can ask for the same.
const entryKey = "key"

var validKey = regexp.MustCompile(`^` + regexp.QuoteMeta(cacheFormat) + `-[A-Za-z0-9._-]{1,400}$`)

// SendCache sends what the build needs of what fetch downloaded: neither packages
// of other days nor the repositories' metadata, nor what the cache entry has that
// the build can get itself. Overrides go along.
func (j *Job) SendCache(ctx context.Context) (*handoff.Manifest, error) {
	skip, err := j.notForBuild()
	if err != nil {
		return nil, err
	}
	overrides, err := j.overrides()
	if err != nil {
		return nil, err
	}
	return j.send(ctx, cacheKind, "", handoff.PackOptions{Paths: append([]string{"cache"}, overrides...), Skip: skip, Base: j.entry})
}

// NoteCache notes what actions/cache has restored, before anything is taken from
// there. An entry without a key of its own is only a cache.
func (j *Job) NoteCache(ctx context.Context) error {
	dir := filepath.Join(j.temp, restored)
	key, err := j.readKey(dir)
	if key == "" || err != nil || !j.handoff {
		return err
	}
	base, err := handoff.IndexBase(ctx, cacheEntry+key, dir, func(p string) bool {
		info, err := os.Lstat(filepath.Join(dir, p))
		return err != nil || !info.Mode().IsRegular() || filepath.Ext(p) != ".rpm"
	})
	if err != nil {
		return err
	}
	base.Cost = base.Manifest.Bytes()
	j.entry = base
	return nil
}

// readKey reads the key that a restored entry was saved under, "" if it is none
// that this run may ask for.
func (j *Job) readKey(dir string) (string, error) {
	f, err := os.OpenFile(filepath.Join(dir, entryKey), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", nil //nolint:nilerr // none, or no file: what is restored may be anything
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 1000))
	if err != nil || !mayRead(j.Step, string(text)) {
		return "", nil //nolint:nilerr // as above
	}
	return string(text), nil
}

// mayRead tells whether a run may restore the entry with a key, as far as that can
// be told from the key.
func mayRead(s *action.Step, key string) bool {
	if !validKey.MatchString(key) {
		return false
	}
	for _, tier := range tierOf(s.Event()).reads() {
		if strings.HasPrefix(key, cacheFormat+"-"+string(tier)+"-") {
			return true
		}
	}
	return false
}

// BaseOfPackages is the key of the cache entry that the packages which fetch sent
// refer to, "" if they are whole. A key that the run may not read is an error.
func BaseOfPackages(ctx context.Context, s *action.Step) (string, error) {
	temp, err := s.Temp()
	if err != nil {
		return "", err
	}
	host, err := arch.Host()
	if err != nil {
		return "", err
	}
	pack := filepath.Join(temp, incoming, "nosa-cache-"+host.RPM+packSuffix)
	if _, err := os.Stat(pack); errors.Is(err, fs.ErrNotExist) {
		return "", missing(cacheKind, "nosa-cache-"+host.RPM)
	}
	what, err := handoff.Inspect(ctx, pack)
	if err != nil {
		return "", fmt.Errorf("unpack %w", err)
	}
	if what.Manifest.Base == nil {
		return "", nil
	}
	key, ok := strings.CutPrefix(what.Manifest.Base.Name, cacheEntry)
	if !ok || !mayRead(s, key) {
		return "", fmt.Errorf("the packages refer to %q, which is no cache entry that this run may read; run all jobs of the workflow again", what.Manifest.Base.Name)
	}
	return key, nil
}

// notForBuild tells what of cache is not sent. The layout is that of our own
// assembler; of a foreign one, all is.
func (j *Job) notForBuild() (func(string) bool, error) {
	record := filepath.Join(j.Workdir, "cache", cacheRecord)
	text, err := os.ReadFile(record)
	if errors.Is(err, fs.ErrNotExist) {
		return func(string) bool { return false }, nil
	}
	if err != nil {
		return nil, err
	}
	var chosen struct {
		Packages []struct{ File string }
		Extra    []struct{ File string } `json:"override-needs"`
	}
	if err := json.Unmarshal(text, &chosen); err != nil {
		return nil, fmt.Errorf("%s: %w", record, err)
	}
	wanted := map[string]bool{}
	for _, p := range append(chosen.Packages, chosen.Extra...) {
		wanted[p.File] = true
	}
	return func(p string) bool {
		return p == "cache/repodata" || path.Dir(p) == "cache/rpms" && !wanted[path.Base(p)]
	}, nil
}

// ReceiveCache unpacks what fetch sent. If it refers to a cache entry, actions/cache
// has restored that in the meantime.
func (j *Job) ReceiveCache(ctx context.Context) error {
	if !j.handoff {
		return nil
	}
	pack, err := j.pack(cacheKind, "nosa-cache-"+j.Arch.RPM)
	if err != nil {
		return err
	}
	dir := filepath.Join(j.temp, restored)
	if info, err := os.Lstat(dir); err == nil && info.IsDir() {
		j.received.aside = &handoff.Base{Name: "the cache", Dir: dir}
	}
	if err := j.unpack(ctx, cacheKind, pack); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}
