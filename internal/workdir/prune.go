package workdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nestos/nosa-actions/internal/arch"
)

// foundBuild is a build as the scan of the build directories finds it.
type foundBuild struct {
	ID     string
	Arches []string  // rpm names
	Time   time.Time // when it was built; the latest of its architectures
}

// PruneOptions says which builds to keep. The zero value keeps all and just
// rewrites builds.json from what lies there.
type PruneOptions struct {
	// KeepLast is the number of newest builds to keep, not counting tagged
	// ones; 0 keeps all.
	KeepLast int
	// Drop names the builds to remove instead; tagged ones are refused.
	Drop []string
	// DryRun only tells what would be removed.
	DryRun bool
	// DropRef removes the ref of a build from the ostree repository, before
	// its directory goes. May be nil.
	DropRef func(buildID string) error
}

// Prune rewrites builds.json from a scan of the build directories, points
// latest anew, and removes the builds that are not to be kept. It returns the
// ids of these. Builds without meta.json vanish from builds.json. A build that
// cannot be removed is reported after all others have been.
func (d *Dir) Prune(o PruneOptions) (dropped []string, err error) {
	release, err := lock(d.indexPath())
	if err != nil {
		return nil, err
	}
	dropped, trash, err := d.pruneLocked(o)
	release()
	for _, path := range trash {
		if rmErr := removeAll(path); rmErr != nil {
			err = errors.Join(err, rmErr)
		}
	}
	return dropped, err
}

func (d *Dir) pruneLocked(o PruneOptions) (dropped, trash []string, err error) {
	found, err := d.scan()
	if err != nil {
		return nil, nil, err
	}
	index, err := d.readIndex()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	inOrder(found, index)
	dropped, err = choose(found, index, o)
	if err != nil || o.DryRun {
		return dropped, nil, err
	}
	err = d.updateIndexLocked(func(x *Index) error {
		x.Builds = entries(found, dropped, index)
		x.Timestamp = Timestamp(d.time())
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if err := d.linkLatest(); err != nil {
		return nil, nil, err
	}
	trash, err = d.discard(dropped, o.DropRef)
	return dropped, trash, err
}

// discard renames the builds into tmp, so that no scan ever sees half of one.
// A ref that cannot be removed does not keep the directory: the repository is a
// cache, and an orphan would be listed again by the next scan.
func (d *Dir) discard(ids []string, dropRef func(string) error) (trash []string, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	if err := os.MkdirAll(d.Tmp(), 0o755); err != nil {
		return nil, err
	}
	aside, err := os.MkdirTemp(d.Tmp(), "pruned-")
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, id := range ids {
		if dropRef != nil {
			if err := dropRef(id); err != nil {
				problems = append(problems, fmt.Errorf("removing the ref of build %s: %w", id, err))
			}
		}
		if err := os.Rename(filepath.Join(d.BuildsDir(), id), filepath.Join(aside, id)); err != nil {
			problems = append(problems, fmt.Errorf("removing build %s: %w", id, err))
		}
	}
	return []string{aside}, errors.Join(problems...)
}

// scan finds the builds that lie in the work directory, whether builds.json lists
// them or not.
func (d *Dir) scan() ([]foundBuild, error) {
	ids, err := subdirs(d.BuildsDir())
	if err != nil {
		return nil, err
	}
	var all []foundBuild
	for _, id := range ids {
		arches, err := subdirs(filepath.Join(d.BuildsDir(), id))
		if err != nil {
			return nil, err
		}
		f := foundBuild{ID: id}
		for _, name := range arches {
			m, err := d.build(id, arch.Arch{RPM: name}).Meta()
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			if m.BuildID != id {
				return nil, fmt.Errorf("builds/%s/%s/meta.json is that of build %q", id, name, m.BuildID)
			}
			built, err := m.Time()
			if err != nil {
				return nil, fmt.Errorf("build %s for %s: %w", id, name, err)
			}
			f.Arches = append(f.Arches, name)
			if built.After(f.Time) {
				f.Time = built
			}
		}
		if len(f.Arches) > 0 {
			all = append(all, f)
		}
	}
	return all, nil
}

// Time is the time of the build, or that of its commit where a build of old did
// not record it.
func (m *Meta) Time() (time.Time, error) {
	if m.BuildTimestamp != "" {
		return parseTimestamp(m.BuildTimestamp)
	}
	return parseTimestamp(m.OSTreeTimestamp)
}

// subdirs lists the directories in path by name, without hidden ones and links.
func subdirs(path string) ([]string, error) {
	all, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range all {
		if e.IsDir() && e.Name()[0] != '.' {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// inOrder sorts builds newest first. Those of one second keep the order that
// the index has, in which new ones come first.
func inOrder(found []foundBuild, index Index) {
	place := func(id string) int {
		return slices.IndexFunc(index.Builds, func(e Entry) bool { return e.ID == id })
	}
	slices.SortStableFunc(found, func(a, b foundBuild) int {
		if c := b.Time.Compare(a.Time); c != 0 {
			return c
		}
		return place(a.ID) - place(b.ID)
	})
}

// choose decides which builds go.
func choose(found []foundBuild, index Index, o PruneOptions) ([]string, error) {
	tagged := map[string]bool{}
	for _, t := range index.Tags {
		tagged[t.Target] = true
	}
	var drop []string
	if len(o.Drop) > 0 {
		for _, id := range o.Drop {
			known := slices.ContainsFunc(found, func(f foundBuild) bool { return f.ID == id })
			switch {
			case !known:
				return nil, fmt.Errorf("build %s: %w", id, ErrNoBuild)
			case tagged[id]:
				return nil, fmt.Errorf("build %s is tagged; remove the tag first", id)
			case !slices.Contains(drop, id):
				drop = append(drop, id)
			}
		}
		return drop, nil
	}
	kept := 0
	for _, f := range found {
		switch {
		case tagged[f.ID]:
		case o.KeepLast == 0 || kept < o.KeepLast:
			kept++
		default:
			drop = append(drop, f.ID)
		}
	}
	return drop, nil
}

// entries are the builds of the new index. The architectures of a build keep
// the order they had.
func entries(found []foundBuild, dropped []string, before Index) []Entry {
	kept := []Entry{}
	for _, f := range found {
		if slices.Contains(dropped, f.ID) {
			continue
		}
		old, _ := before.Find(f.ID)
		var arches []string
		for _, name := range old.Arches {
			if slices.Contains(f.Arches, name) {
				arches = append(arches, name)
			}
		}
		for _, name := range f.Arches {
			if !slices.Contains(arches, name) {
				arches = append(arches, name)
			}
		}
		kept = append(kept, Entry{ID: f.ID, Arches: arches})
	}
	return kept
}
