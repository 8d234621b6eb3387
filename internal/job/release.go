package job

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/handoff"
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
	revision := map[string]string{}
	for _, entry := range list {
		match := packName.FindStringSubmatch(entry.Name())
		if match == nil {
			continue
		}
		kind, arch := match[1], match[2]
		dir := filepath.Join(temp, "nosa-builds", arch)
		if !slices.Contains(dirs, dir) {
			if kind != buildKind {
				return nil, fmt.Errorf("artifact %s is here without nosa-build-%s; a job that this one needs must run %s", entry.Name(), arch, makers[buildKind])
			}
			if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
				return nil, err
			}
			dirs = append(dirs, dir)
		}
		receipt, err := unpackRelease(ctx, s, filepath.Join(temp, incoming, entry.Name()), dir, kind, arch, revision)
		if err != nil {
			return nil, err
		}
		if is := receipt.Manifest.Labels[revisionLabel]; is != "" {
			revision[revisionLabel] = is
		}
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

func unpackRelease(ctx context.Context, s *action.Step, pack, dir, kind, arch string, labels map[string]string) (handoff.Receipt, error) {
	end := s.Group("unpack " + filepath.Base(pack))
	defer end()
	receipt, err := handoff.UnpackFile(ctx, pack, dir, handoff.UnpackOptions{Kind: kind, Arch: arch, Labels: labels})
	if err != nil {
		return receipt, err
	}
	s.Log("%d files, %.1f MB, all checksums verified", len(receipt.Manifest.Entries), float64(receipt.Manifest.Bytes())/1e6)
	return receipt, os.Remove(pack)
}
