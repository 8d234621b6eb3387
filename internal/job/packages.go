package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/handoff"
)

const (
	// cacheRecord is what fetch leaves in cache: which packages it chose.
	cacheRecord = "packages.json"
	// cacheManifest is the manifest of the pack that was made of cache, kept with
	// it from run to run.
	cacheManifest = ".pack.json"
)

// SendCache sends what the build needs of what fetch downloaded: neither packages
// of other days nor the repositories' metadata.
func (j *Job) SendCache(ctx context.Context) (*handoff.Manifest, error) {
	skip, err := j.notForBuild()
	if err != nil {
		return nil, err
	}
	m, err := j.send(ctx, cacheKind, "", handoff.PackOptions{Paths: []string{"cache"}, Skip: skip, Base: j.restored})
	if err != nil || m == nil {
		return m, err
	}
	return m, j.sent.Save(filepath.Join(j.Workdir, "cache", cacheManifest))
}

// RestoredCache says that the step before put the directory cache of an earlier run
// into the work directory: that of the entry of actions/cache with this key. If the
// job that builds can get the same entry, what is in it need not be sent. It must
// be called before anything changes cache; an empty key means none.
func (j *Job) RestoredCache(key string) {
	if key == "" || !j.handoff {
		return
	}
	base, err := handoff.ReadBase(filepath.Join(j.Workdir, "cache", cacheManifest), "the cache entry "+key, "")
	switch {
	case err == nil:
		j.restored = base
	case !errors.Is(err, fs.ErrNotExist):
		j.Step.Notice(fmt.Sprintf("all packages are sent, since the cache of an earlier run does not say what it has: %v", err))
	}
}

// notForBuild tells what of cache is not sent. The layout is that of our own
// assembler; of a foreign one, all is.
func (j *Job) notForBuild() (func(string) bool, error) {
	record := filepath.Join(j.Workdir, "cache", cacheRecord)
	text, err := os.ReadFile(record)
	if errors.Is(err, fs.ErrNotExist) {
		return func(p string) bool { return p == path.Join("cache", cacheManifest) }, nil
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
		switch {
		case p == path.Join("cache", cacheManifest), p == "cache/repodata":
			return true
		default:
			return path.Dir(p) == "cache/rpms" && !wanted[path.Base(p)]
		}
	}, nil
}

// ReceiveCache unpacks what fetch sent. If it refers to the cache of an earlier
// run, that lies in the work directory as actions/cache put it there.
func (j *Job) ReceiveCache(ctx context.Context) error {
	if !j.handoff {
		return nil
	}
	pack, err := j.pack(cacheKind, "nosa-cache-"+j.Arch.RPM)
	if err != nil {
		return err
	}
	what, err := handoff.Inspect(ctx, pack)
	if err != nil {
		return fmt.Errorf("unpack %w", err)
	}
	if what.Manifest.Base != nil {
		aside, err := j.setAside("cache")
		if err != nil {
			return err
		}
		defer os.RemoveAll(aside)
		j.received.aside = &handoff.Base{Name: what.Manifest.Base.Name, Dir: aside}
	}
	return j.unpack(ctx, cacheKind, pack)
}

// setAside moves a directory of the work directory, if it is there, to one of its
// own on the same file system, which it returns.
func (j *Job) setAside(name string) (string, error) {
	aside, err := os.MkdirTemp(j.Workdir, ".aside-")
	if err != nil {
		return "", err
	}
	err = os.Rename(filepath.Join(j.Workdir, name), filepath.Join(aside, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", errors.Join(err, os.RemoveAll(aside))
	}
	return aside, nil
}
