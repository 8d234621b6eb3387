package build

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo"
	"github.com/nestos/nosa-actions/internal/image/oci"
	"github.com/nestos/nosa-actions/internal/rootfs"
)

// components names what no package brings and what changes for itself, so that an
// update through a registry brings nothing else: each overlay, and what the build
// makes. Overlays come last, as there may be more of them than layers.
func (s *session) components(ctx context.Context, c *commit) ([]oci.Component, error) {
	list := []oci.Component{
		{Name: "build/rpmdb", Dirs: []string{rootfs.DBPath}},
		{Name: "build/os-release"},
	}
	if s.config.Manifest.MutateOSRelease != "" {
		list[1].Files = []string{"/usr/lib/os-release", "/etc/os-release"}
	}
	if kernel, ok := c.Metadata["ostree.linux"].(string); ok {
		modules := "/usr/lib/modules/" + kernel
		list = append(list,
			oci.Component{Name: "build/initramfs", Files: []string{modules + "/initramfs.img"}},
			oci.Component{Name: "build/kernel", Dirs: []string{modules}})
	}
	layers, overrides, err := s.layers(ctx)
	if err != nil {
		return nil, err
	}
	slices.Reverse(overrides) // the last one laid has a file
	for _, l := range slices.Concat(overrides, layers) {
		files, err := s.filesOf(l)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", l.ref, err)
		}
		name := l.ref
		if !strings.HasPrefix(name, "overlay/") {
			name = "overlay/" + name
		}
		list = append(list, oci.Component{Name: name, Files: files})
	}
	return list, nil
}

// filesOf lists what a layer laid over the tree.
func (s *session) filesOf(l layer) ([]string, error) {
	repo, err := ostreerepo.Open(s.repo.Path)
	if err != nil {
		return nil, err
	}
	sum, err := repo.Resolve(l.commit)
	if err != nil {
		return nil, err
	}
	commit, err := repo.Commit(sum)
	if err != nil {
		return nil, err
	}
	var files []string
	err = repo.Walk(commit, func(e ostreerepo.Entry) error {
		if !e.Dir {
			files = append(files, e.Path)
		}
		return nil
	})
	return files, err
}
