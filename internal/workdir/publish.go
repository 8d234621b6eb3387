package workdir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/atomicfile"
)

// guardName is the file in builds/ that stands there while a build is moved in.
const guardName = ".build-commit"

// guard is what an interrupted Publish leaves for the next Open to settle.
type guard struct {
	Build string `json:"build"`
	Arch  string `json:"arch"`
}

// Publish makes a finished temporary build a build of this architecture: its
// files get to the disk and become read-only, the directory is renamed to
// builds/ID/ARCH, and the build is listed in builds.json, at the front if it is
// new. What lies in the subdirectory tmp goes to tmp/last-build-tmp. The meta.json
// of the build must be complete, and every artifact it names must be there.
//
// A process that dies on the way leaves either no build or a whole one: the next
// Open finishes the work from the file builds/.build-commit.
func (d *Dir) Publish(tmpBuild, id string) (Build, error) {
	if err := checkID(id); err != nil {
		return Build{}, err
	}
	if err := d.seal(tmpBuild, id); err != nil {
		return Build{}, err
	}
	release, err := lock(d.indexPath())
	if err != nil {
		return Build{}, err
	}
	defer release()
	b := d.build(id, d.Arch)
	if err := d.checkFree(b); err != nil {
		return Build{}, err
	}
	for _, step := range d.publishSteps(tmpBuild, b) {
		if err := step(); err != nil {
			return Build{}, errors.Join(err, d.settle())
		}
	}
	return b, nil
}

// publishSteps are the steps between which a process may die. Each is atomic.
func (d *Dir) publishSteps(tmpBuild string, b Build) []func() error {
	return []func() error{
		func() error { return d.writeGuard(b) },
		func() error { return os.MkdirAll(filepath.Dir(b.Dir), 0o755) },
		func() error { return syncDir(d.BuildsDir()) },
		func() error { return atomicfile.Move(tmpBuild, b.Dir) },
		func() error { return d.list(b) },
		func() error { return d.linkLatest() },
		func() error { return os.Remove(d.guardPath()) },
	}
}

// syncDir gets the names in a directory to the disk.
func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func (d *Dir) guardPath() string { return filepath.Join(d.BuildsDir(), guardName) }

func (d *Dir) writeGuard(b Build) error {
	data, err := encode(guard{Build: b.ID, Arch: b.Arch.RPM})
	if err != nil {
		return err
	}
	return atomicfile.Write(d.guardPath(), data, 0o644)
}

// list enters a build at the front of builds.json, if it is not there.
func (d *Dir) list(b Build) error {
	return d.updateIndexLocked(func(x *Index) error {
		if e, ok := x.Find(b.ID); ok && slices.Contains(e.Arches, b.Arch.RPM) {
			return nil
		}
		x.Timestamp = Timestamp(d.time())
		return x.Insert(b.ID, b.Arch.RPM)
	})
}

// linkLatest points builds/latest to the first entry of builds.json, or removes
// it if there is none.
func (d *Dir) linkLatest() error {
	index, err := d.readIndex()
	if err != nil {
		return err
	}
	link := filepath.Join(d.BuildsDir(), "latest")
	if len(index.Builds) == 0 {
		if err := os.Remove(link); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	return atomicfile.Symlink(index.Builds[0].ID, link)
}

// checkFree makes sure that there is no such build yet.
func (d *Dir) checkFree(b Build) error {
	index, err := d.readIndex()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if e, ok := index.Find(b.ID); ok && slices.Contains(e.Arches, b.Arch.RPM) {
		return fmt.Errorf("build %s for %s is already in %s", b.ID, b.Arch, indexName)
	}
	if _, err := os.Lstat(b.Dir); !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return err
		}
		return fmt.Errorf("%s is in the way and not listed in %s; nosa prune --keep-last-n 0 lists it", b.Dir, indexName)
	}
	return nil
}

// seal checks that the temporary build is whole and makes it ready to move.
func (d *Dir) seal(tmpBuild, id string) error {
	m, err := Build{Dir: tmpBuild, skipValidation: d.SkipValidation}.Meta()
	if err != nil {
		return err
	}
	if m.BuildID != id {
		return fmt.Errorf("its meta.json is that of build %q", m.BuildID)
	}
	readOnly := []string{"ostree-commit-object", "coreos-assembler-config-git.json",
		"coreos-assembler-yumrepos-git.json", "coreos-assembler-config.tar.gz"}
	for _, name := range readOnly {
		if err := os.Chmod(filepath.Join(tmpBuild, name), 0o444); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for name, image := range m.Images {
		if err := sealImage(filepath.Join(tmpBuild, image.Path), image); err != nil {
			return fmt.Errorf("artifact %s: %w", name, err)
		}
	}
	return d.setScratchAside(tmpBuild)
}

// sealImage checks the size of an artifact and removes the write permissions.
func sealImage(path string, image Image) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", path)
	}
	if image.Size != 0 && image.Size != info.Size() {
		return fmt.Errorf("%s has %d bytes and not %d as meta.json says", path, info.Size(), image.Size)
	}
	return os.Chmod(path, info.Mode().Perm()&^0o222)
}

func (d *Dir) setScratchAside(tmpBuild string) error {
	scratch := filepath.Join(tmpBuild, "tmp")
	if _, err := os.Lstat(scratch); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	last := filepath.Join(d.Tmp(), "last-build-tmp")
	if err := removeAll(last); err != nil {
		return err
	}
	return os.Rename(scratch, last)
}

// recover settles an interrupted publication, if there is one.
func (d *Dir) recover() error {
	if _, err := os.Lstat(d.guardPath()); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	release, err := lock(d.indexPath()) // waits for a publication that runs
	if err != nil {
		return err
	}
	defer release()
	return d.settle()
}

// settle completes or undoes the publication that the guard names, under the
// lock of the index. The build was moved in by one rename after all of it had
// got to the disk, so its directory is whole or not there.
func (d *Dir) settle() error {
	data, err := readRecord(d.guardPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // settled by another
	}
	if err != nil {
		return err
	}
	var g guard
	if err := json.Unmarshal(data, &g); err == nil && checkID(g.Build) == nil && checkID(g.Arch) == nil {
		b := d.build(g.Build, arch.Arch{RPM: g.Arch})
		if err := d.settleBuild(b); err != nil {
			return err
		}
	}
	// A guard without a name is that of upstream, which moves by rename too: a
	// build that got there is found by the next scan.
	return os.Remove(d.guardPath())
}

func (d *Dir) settleBuild(b Build) error {
	if _, err := os.Lstat(b.Dir); errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(filepath.Dir(b.Dir)) // goes only if empty, as it must
		return nil
	}
	m, err := b.Meta()
	if err == nil && m.BuildID == b.ID {
		if err := d.list(b); err != nil {
			return err
		}
		return d.linkLatest()
	}
	// Not from our rename. Nothing is lost: it leaves the builds for tmp.
	aside, err := os.MkdirTemp(d.Tmp(), "broken-build-")
	if err != nil {
		return err
	}
	if err := os.Rename(b.Dir, filepath.Join(aside, b.Arch.RPM)); err != nil {
		return err
	}
	_ = os.Remove(filepath.Dir(b.Dir))
	return nil
}
