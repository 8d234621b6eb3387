package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/nestos/nosa-actions/internal/action"
)

// packName are the packs that a release is made of: kind and architecture.
var packName = regexp.MustCompile(`^nosa-(build|image)-(?:.+-)?([a-z0-9_]+)\.tar\.zst$`)

// ReceiveBuilds unpacks the builds and images that earlier jobs sent, each
// architecture to a work directory of its own, and returns these directories. It
// needs no config. Packs of different revisions of the config are refused.
func ReceiveBuilds(ctx context.Context, s *action.Step) ([]string, error) {
	temp, err := s.Temp()
	if err != nil {
		return nil, err
	}
	list, err := os.ReadDir(filepath.Join(temp, incoming))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	// Builds come before the images that belong to them.
	slices.SortStableFunc(list, func(a, b fs.DirEntry) int { return kindOf(a) - kindOf(b) })
	var dirs []string
	shelves := map[string]*shelf{} // by architecture
	revision := ""
	for _, entry := range list {
		match := packName.FindStringSubmatch(entry.Name())
		if match == nil {
			continue
		}
		kind, arch := match[1], match[2]
		at := shelves[arch]
		if at == nil {
			if kind != buildKind {
				return nil, fmt.Errorf("artifact %s is here without nosa-build-%s; a job that this one needs must run %s", entry.Name(), arch, makers[buildKind])
			}
			at = &shelf{step: s, dir: filepath.Join(temp, "nosa-builds", arch), arch: arch}
			if err := errors.Join(os.RemoveAll(at.dir), os.MkdirAll(at.dir, 0o755)); err != nil {
				return nil, err
			}
			shelves[arch] = at
			dirs = append(dirs, at.dir)
		}
		if err := at.add(ctx, kind, filepath.Join(temp, incoming, entry.Name()), revision); err != nil {
			return nil, err
		}
		revision = cmp.Or(revision, at.parcels[len(at.parcels)-1].Manifest.Labels[revisionLabel])
	}
	if len(dirs) == 0 {
		return nil, missing(buildKind, "nosa-build-ARCH")
	}
	return dirs, nil
}

func kindOf(e fs.DirEntry) int {
	if match := packName.FindStringSubmatch(e.Name()); match != nil && match[1] == imageKind {
		return 1
	}
	return 0
}
