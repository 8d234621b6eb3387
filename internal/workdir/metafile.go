package workdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/atomicfile"
)

const metaName = "meta.json"

// ReadMeta reads DIR/meta.json and checks it.
func ReadMeta(dir string) (*Meta, error) { return Build{Dir: dir}.Meta() }

// WriteMeta writes m to DIR/meta.json of a build that is still in the making,
// merging with one that is there.
func WriteMeta(dir string, m *Meta) error { return Build{Dir: dir}.write(m) }

// Meta reads meta.json.
func (b Build) Meta() (*Meta, error) {
	release, err := lockForRead(b.Path(metaName))
	if err != nil {
		return nil, err
	}
	defer release()
	return b.load(metaName)
}

// ArtifactMeta reads what is known to the stage of an artifact: with delayed
// merge and if it exists, meta.ARTIFACT.json, else meta.json.
func (b Build) ArtifactMeta(artifact string) (*Meta, error) {
	if err := checkArtifact(artifact); err != nil {
		return nil, err
	}
	release, err := lockForRead(b.Path(metaName))
	if err != nil {
		return nil, err
	}
	defer release()
	m, err := b.load(metaName)
	if err != nil || !m.Delayed() {
		return m, err
	}
	own, err := b.load("meta." + artifact + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	return own, err
}

// View is meta.json with all meta.ARTIFACT.json laid over it when merging is
// delayed: all that is known about the build. They must be of the same build.
func (b Build) View() (*Meta, error) {
	release, err := lockForRead(b.Path(metaName))
	if err != nil {
		return nil, err
	}
	defer release()
	m, err := b.load(metaName)
	if err != nil || !m.Delayed() {
		return m, err
	}
	all, err := m.object()
	if err != nil {
		return nil, err
	}
	later, err := b.delayed()
	if err != nil {
		return nil, err
	}
	slices.Reverse(later) // the newest last, on top
	for _, view := range later {
		object, err := view.meta.object()
		if err != nil {
			return nil, err
		}
		for _, path := range identity {
			if err := agree(all, object, path); err != nil {
				return nil, fmt.Errorf("%s: %w", b.Path(view.name), err)
			}
		}
		all = overlay(all, object)
	}
	return fromObject(all, b.Path(metaName))
}

// Merge records a stage's view of the metadata. Normally it is merged with what
// other stages wrote to meta.json since m was read, and m becomes the result.
// With delayed merge it goes to meta.ARTIFACT.json alone; an empty artifact is
// then replaced by the time.
func (b Build) Merge(artifact string, m *Meta) error {
	if !m.Delayed() {
		return b.write(m)
	}
	if artifact == "" {
		artifact = fmt.Sprint(time.Now().UnixNano())
	}
	if err := checkArtifact(artifact); err != nil {
		return err
	}
	release, err := lock(b.Path(metaName))
	if err != nil {
		return err
	}
	defer release()
	m.Stamp = max(time.Now().UnixNano(), m.Stamp+1)
	object, err := m.object()
	if err != nil {
		return err
	}
	return b.store("meta."+artifact+".json", object)
}

// Edit changes m in the form of plain JSON values, numbers being json.Number,
// and checks the result. On an error m stays as it was.
func (b Build) Edit(m *Meta, change func(map[string]any) error) error {
	object, err := m.object()
	if err != nil {
		return err
	}
	if err := change(object); err != nil {
		return err
	}
	if err := b.validate(object, b.Path(metaName)); err != nil {
		return err
	}
	changed, err := fromObject(object, b.Path(metaName))
	if err != nil {
		return err
	}
	*m = *changed
	return nil
}

// Object is m as plain JSON values, numbers being json.Number.
func (m *Meta) Object() (map[string]any, error) { return m.object() }

// Update changes meta.json under its lock: change sees the present content, and
// nobody can write until its result is stored.
func (b Build) Update(change func(*Meta) error) error {
	release, err := lock(b.Path(metaName))
	if err != nil {
		return err
	}
	defer release()
	m, err := b.load(metaName)
	if err != nil {
		return err
	}
	if err := change(m); err != nil {
		return err
	}
	m.Stamp = max(time.Now().UnixNano(), m.Stamp+1)
	object, err := m.object()
	if err != nil {
		return err
	}
	return b.store(metaName, object)
}

// Finalize merges all meta.ARTIFACT.json into meta.json, the newest first, so
// that it wins where two differ, and removes them unless keep is set. It returns
// the names of the files merged. Where merging is not delayed it does nothing.
func (b Build) Finalize(keep bool) (merged []string, delayed bool, err error) {
	release, err := lock(b.Path(metaName))
	if err != nil {
		return nil, false, err
	}
	defer release()
	m, err := b.load(metaName)
	if err != nil || !m.Delayed() {
		return nil, false, err
	}
	later, err := b.delayed()
	if err != nil {
		return nil, true, err
	}
	for _, view := range later {
		if err := b.mergeLocked(view.meta); err != nil {
			return merged, true, fmt.Errorf("%s: %w", view.name, err)
		}
		merged = append(merged, view.name)
		if keep {
			continue
		}
		if err := os.Remove(b.Path(view.name)); err != nil {
			return merged, true, err
		}
	}
	return merged, true, nil
}

// delayedMeta is one meta.ARTIFACT.json.
type delayedMeta struct {
	name string
	meta *Meta
}

// delayed reads all meta.ARTIFACT.json, the newest first.
func (b Build) delayed() ([]delayedMeta, error) {
	paths, err := filepath.Glob(filepath.Join(escapeGlob(b.Dir), "meta.*.json"))
	if err != nil {
		return nil, err
	}
	var all []delayedMeta
	for _, path := range paths {
		name := filepath.Base(path)
		m, err := b.load(name)
		if err != nil {
			return nil, err
		}
		all = append(all, delayedMeta{name, m})
	}
	slices.SortStableFunc(all, func(x, y delayedMeta) int {
		switch {
		case x.meta.Stamp > y.meta.Stamp:
			return -1
		case x.meta.Stamp < y.meta.Stamp:
			return 1
		}
		return strings.Compare(x.name, y.name)
	})
	return all, nil
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func (b Build) write(m *Meta) error {
	release, err := lock(b.Path(metaName))
	if err != nil {
		return err
	}
	defer release()
	return b.mergeLocked(m)
}

func (b Build) mergeLocked(m *Meta) error {
	disk, err := b.object(metaName)
	if errors.Is(err, fs.ErrNotExist) {
		disk, err = map[string]any{}, nil
	}
	if err != nil {
		return err
	}
	memory, err := m.object()
	if err != nil {
		return err
	}
	result, err := mergeMeta(disk, memory, time.Now().UnixNano())
	if err != nil {
		return err
	}
	if err := b.store(metaName, result); err != nil {
		return err
	}
	now, err := fromObject(result, b.Path(metaName))
	if err != nil {
		return err
	}
	*m = *now
	return nil
}

func (b Build) load(name string) (*Meta, error) {
	object, err := b.object(name)
	if err != nil {
		return nil, err
	}
	return fromObject(object, b.Path(name))
}

// object reads and checks a metadata file. The file's time, in seconds, stands
// in for a missing stamp, which makes it look older than any true one.
func (b Build) object(name string) (map[string]any, error) {
	path := b.Path(name)
	data, err := readRecord(path)
	if err != nil {
		return nil, err
	}
	object, err := decodeObject(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := b.validate(object, path); err != nil {
		return nil, err
	}
	if _, ok := object[stampKey]; !ok {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		setStamp(object, info.ModTime().Unix())
	}
	return object, nil
}

func (b Build) store(name string, object map[string]any) error {
	if err := b.validate(object, b.Path(name)); err != nil {
		return err
	}
	data, err := encode(object)
	if err != nil {
		return err
	}
	return atomicfile.Write(b.Path(name), data, 0o644)
}

func (b Build) validate(object map[string]any, file string) error {
	if b.skipValidation {
		return nil
	}
	return validate(object, file)
}
