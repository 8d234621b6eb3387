// Package workdir is the work directory of nosa: where things lie, who may
// write, and what is recorded about builds. It is the only reader and writer of
// builds.json and meta.json, and every write of them is locked and atomic, so
// that stages in several processes can work on one directory.
//
// The layout and the two record formats are those of coreos-assembler.
package workdir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/atomicfile"
)

// Dir is an opened work directory, seen from one architecture.
type Dir struct {
	Path string    // absolute
	Arch arch.Arch // the architecture whose builds are meant

	// SkipValidation turns off the checks of meta.json against its schema, as
	// the environment variable COSA_META_SCHEMA=none asks for.
	SkipValidation bool

	now func() time.Time // nil: time.Now
}

// Open opens an existing work directory. A publication that was interrupted is
// completed or undone first; one that still runs in another process is waited
// for.
func Open(path string, a arch.Arch) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	d := &Dir{Path: path, Arch: a}
	info, err := os.Stat(d.BuildsDir())
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%s is not a work directory (it has no builds directory); run nosa init first", path)
	}
	if err != nil {
		return nil, err
	}
	if err := d.recover(); err != nil {
		return nil, fmt.Errorf("settling an interrupted build: %w", err)
	}
	return d, nil
}

// transientName marks a work directory that is thrown away later.
const transientName = "nosa-transient"

// Transient tells whether the work is thrown away later, so that caches and images
// need not get to the disk.
func (d *Dir) Transient() bool {
	_, err := os.Stat(filepath.Join(d.Tmp(), transientName))
	return err == nil
}

// SetTransient marks the work directory so, until its tmp is cleaned.
func (d *Dir) SetTransient() error {
	return os.WriteFile(filepath.Join(d.Tmp(), transientName), nil, 0o644)
}

// Create makes the directories of a work directory below path, leaving alone
// what is there, and opens it.
func Create(path string, a arch.Arch) (*Dir, error) {
	for _, name := range []string{"cache", "builds", "tmp", "overrides/rpm", "overrides/rootfs", "src"} {
		if err := os.MkdirAll(filepath.Join(path, name), 0o755); err != nil {
			return nil, err
		}
	}
	return Open(path, a)
}

// Config is the directory of the config repository.
func (d *Dir) Config() string { return filepath.Join(d.Path, "src", "config") }

// Cache is the directory of what fetch downloaded.
func (d *Dir) Cache() string { return filepath.Join(d.Path, "cache") }

// Tmp is the directory for all temporary files; it lies on the file system of
// the builds, so that results can be renamed into place.
func (d *Dir) Tmp() string { return filepath.Join(d.Path, "tmp") }

// BuildsDir is the directory of the finished builds.
func (d *Dir) BuildsDir() string { return filepath.Join(d.Path, "builds") }

// Overrides is the directory of the developer's local packages and files.
func (d *Dir) Overrides() string { return filepath.Join(d.Path, "overrides") }

// variantFile is the content of src/config.json.
type variantFile struct {
	Variant string `json:"coreos-assembler.config-variant"`
}

func (d *Dir) variantPath() string { return filepath.Join(d.Path, "src", "config.json") }

// Variant is the variant of the config chosen by init, or "" for the default
// one.
func (d *Dir) Variant() (string, error) {
	data, err := os.ReadFile(d.variantPath())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var v variantFile
	if err := json.Unmarshal(data, &v); err != nil {
		return "", fmt.Errorf("%s: %w", d.variantPath(), err)
	}
	if v.Variant == "default" {
		return "", nil
	}
	return v.Variant, nil
}

// SetVariant records the chosen variant; "" or "default" removes the record.
func (d *Dir) SetVariant(variant string) error {
	if variant == "" || variant == "default" {
		if err := os.Remove(d.variantPath()); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	data, err := encode(variantFile{Variant: variant})
	if err != nil {
		return err
	}
	return atomicfile.Write(d.variantPath(), data, 0o644)
}

// BeginBuild makes tmp/build, or tmp/build.KIND if kind is not empty, anew and
// returns its path. Until this process ends no other one can begin a build of
// the same kind here.
func (d *Dir) BeginBuild(kind string) (string, error) {
	name := "build"
	if kind != "" {
		if err := checkArtifact(kind); err != nil {
			return "", err
		}
		name += "." + kind
	}
	if err := os.MkdirAll(d.Tmp(), 0o755); err != nil {
		return "", err
	}
	if err := holdForLife(filepath.Join(d.Tmp(), "."+name+".lock")); err != nil {
		return "", fmt.Errorf("beginning a build in tmp/%s: %w", name, err)
	}
	path := filepath.Join(d.Tmp(), name)
	if err := removeAll(path); err != nil {
		return "", fmt.Errorf("emptying tmp/%s: %w", name, err)
	}
	return path, os.Mkdir(path, 0o755)
}

// removeAll does as os.RemoveAll, also to directories without write permission,
// which a user other than root cannot empty.
func removeAll(path string) error {
	if err := os.RemoveAll(path); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			_ = os.Chmod(p, 0o700)
		}
		return nil // what stays in the way shows in the second attempt
	})
	return os.RemoveAll(path)
}

func (d *Dir) time() time.Time {
	if d.now != nil {
		return d.now().UTC()
	}
	return time.Now().UTC()
}
