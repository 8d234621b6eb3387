package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nestos/nosa-actions/internal/ostree"
)

// layer is an OSTree commit that is laid over the packages.
type layer struct {
	ref, commit string
	content     string // checksum that depends on the files alone
}

const (
	imageLayer    = "overlay/cosa-image-json"
	overrideLayer = "overlay/cosa-overrides-rootfs"
	imagePath     = "usr/share/coreos-assembler/image.json"
)

// commitOverlays makes the commits overlay/* out of overlay.d, image.json and
// overrides/rootfs.
func (s *session) commitOverlays(ctx context.Context) error {
	dirs, err := s.config.Overlays()
	if err != nil {
		return err
	}
	step := s.log.Step("commit overlays")
	defer step.Stop()
	scratch := filepath.Join(s.scratch(), "overlays")
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := s.commitOverlay(ctx, dir, "overlay/"+filepath.Base(dir), scratch); err != nil {
			return err
		}
	}
	if err := s.commitImageJSON(ctx, scratch); err != nil {
		return err
	}
	if s.hasOverrideFiles() {
		if err := s.commitOverlay(ctx, s.overrideFiles(), overrideLayer, scratch); err != nil {
			return err
		}
	}
	step.Done("%d", len(dirs))
	return os.RemoveAll(scratch)
}

// overrideFiles is the directory of a developer's own files, laid over the tree
// last.
func (s *session) overrideFiles() string { return filepath.Join(s.dir.Overrides(), "rootfs") }

func (s *session) hasOverrideFiles() bool {
	entries, err := os.ReadDir(s.overrideFiles())
	return err == nil && len(entries) > 0
}

// commitImageJSON puts the rendered image.json where later stages find it: in
// the tree.
func (s *session) commitImageJSON(ctx context.Context, scratch string) error {
	if err := os.WriteFile(filepath.Join(s.dir.Tmp(), "image.json"), s.imageJSON, 0o644); err != nil {
		return err
	}
	dir := filepath.Join(scratch, "source", "cosa-image-json")
	file := filepath.Join(dir, imagePath)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, s.imageJSON, 0o644); err != nil {
		return err
	}
	return s.commitOverlay(ctx, dir, imageLayer, scratch)
}

func (s *session) commitOverlay(ctx context.Context, dir, ref, scratch string) error {
	when := time.Unix(0, 0)
	if s.git != nil {
		when = s.git.Time
	}
	commit, err := s.repo.CommitOverlay(ctx, ostree.Overlay{Dir: dir, Ref: ref, Timestamp: when}, scratch)
	if err != nil {
		return err
	}
	s.overlays = append(s.overlays, layer{ref: ref, commit: commit})
	return nil
}

// layers gives the layers in the order in which they go over the packages: those
// that the manifest lists, then image.json; a ref must exist.
func (s *session) layers(ctx context.Context) (layers, overrides []layer, err error) {
	m := s.config.Manifest
	for _, item := range m.OSTreeLayers {
		l, err := s.layer(ctx, item.Value)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", item.Pos, err)
		}
		layers = append(layers, l)
	}
	last, err := s.layer(ctx, imageLayer)
	if err != nil {
		return nil, nil, err
	}
	layers = append(layers, last)
	for _, item := range m.OSTreeOverrideLayers {
		l, err := s.layer(ctx, item.Value)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", item.Pos, err)
		}
		overrides = append(overrides, l)
	}
	if s.hasOverrideFiles() {
		l, err := s.layer(ctx, overrideLayer)
		if err != nil {
			return nil, nil, err
		}
		overrides = append(overrides, l)
	}
	return layers, overrides, nil
}

func (s *session) layer(ctx context.Context, ref string) (layer, error) {
	commit, err := s.repo.Resolve(ctx, ref)
	if err != nil {
		return layer{}, err
	}
	made := slices.ContainsFunc(s.overlays, func(l layer) bool { return l.ref == ref })
	if commit == "" || (!made && filepath.Dir(ref) == "overlay") {
		return layer{}, fmt.Errorf("layer %q does not exist; overlay/NAME is made of the directory overlay.d/NAME", ref)
	}
	shown, err := s.repo.Show(commit)
	if err != nil {
		return layer{}, err
	}
	return layer{ref: ref, commit: commit, content: shown.ContentChecksum}, nil
}
