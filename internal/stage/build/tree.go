package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"github.com/nestos/nosa-actions/internal/manifest"
	"github.com/nestos/nosa-actions/internal/rootfs"
)

// fill makes the unpacked packages into the tree of the commit.
func (s *session) fill(ctx context.Context, tree *rootfs.Tree, c *commit, layers, overrides []layer, version string) error {
	var err error
	if c.packages, err = tree.Packages(ctx); err != nil {
		return err
	}
	if c.owned, err = tree.Files(ctx); err != nil {
		return err
	}
	m := s.config.Manifest
	if m.SELinux && !tree.HasPolicy() {
		return errors.New("the tree has no SELinux policy; add one to the packages, or say selinux: false in the manifest")
	}
	live, err := s.openLog()
	if err != nil {
		return err
	}
	defer live.Close()
	steps := []struct {
		name string
		do   func() error
	}{
		{"remove files of packages", func() error { return tree.RemoveFromPackages(ctx, removals(m)) }},
		{"lay overlays over the packages", func() error { return s.lay(ctx, tree, layers, false) }},
		{"lay overrides over the packages", func() error { return s.lay(ctx, tree, overrides, true) }},
		{"run scriptlets", func() error { _, err := tree.Scriptlets(ctx, live, s.scratch()); return err }},
		{"apply the manifest", func() error { return s.edit(tree, version) }},
		{"run postprocess scripts", func() error { return s.postprocess(ctx, tree, live) }},
	}
	for _, step := range steps {
		if err := s.step(step.name, step.do); err != nil {
			return fmt.Errorf("%w; see %s", err, s.logPath())
		}
	}
	if !m.Container {
		if err := s.kernel(ctx, tree, c, live); err != nil {
			return fmt.Errorf("%w; see %s", err, s.logPath())
		}
	}
	if err := s.writeTreefile(tree); err != nil {
		return err
	}
	return s.step("finalize the tree", func() error {
		return tree.Finalize(rootfs.FinalOptions{
			TmpIsDir: m.TmpIsDir, MachineIDCompat: m.MachineIDCompat,
			EtcGroupMembers: m.EtcGroupMembers, OptUsrlocal: m.OptUsrlocal,
		})
	})
}

func (s *session) step(name string, do func() error) error {
	step := s.log.Step("%s", name)
	defer step.Stop()
	if err := do(); err != nil {
		return err
	}
	step.Done("")
	return nil
}

// logPath is what scripts say: much, and of interest when something went wrong.
func (s *session) logPath() string { return filepath.Join(s.dir.Tmp(), "compose.log") }

func (s *session) openLog() (io.WriteCloser, error) { return os.Create(s.logPath()) }

// lay puts layers over the tree.
func (s *session) lay(ctx context.Context, tree *rootfs.Tree, layers []layer, overwrite bool) error {
	scratch := filepath.Join(s.scratch(), "layer")
	for _, l := range layers {
		if err := s.repo.Checkout(ctx, l.commit, scratch); err != nil {
			return fmt.Errorf("layer %s: %w", l.ref, err)
		}
		if err := tree.Lay(scratch, overwrite); err != nil {
			return fmt.Errorf("layer %s: %w", l.ref, err)
		}
		if err := os.RemoveAll(scratch); err != nil {
			return err
		}
	}
	return nil
}

// edit does what single keys of the manifest ask for.
func (s *session) edit(tree *rootfs.Tree, version string) error {
	m := s.config.Manifest
	if err := tree.EnableUnits(values(m.Units)); err != nil {
		return err
	}
	if m.DefaultTarget != "" {
		if err := tree.SetDefaultTarget(m.DefaultTarget); err != nil {
			return err
		}
	}
	if m.MutateOSRelease != "" {
		if err := tree.MutateOSRelease(m.MutateOSRelease, version); err != nil {
			return err
		}
	}
	if err := tree.RemoveFiles(values(m.RemoveFiles)); err != nil {
		return err
	}
	var added []rootfs.AddedFile
	for _, f := range m.AddFiles {
		added = append(added, rootfs.AddedFile{Source: f.Source.Path, Dest: f.Dest})
	}
	return tree.AddFiles(added)
}

func (s *session) postprocess(ctx context.Context, tree *rootfs.Tree, live io.Writer) error {
	m := s.config.Manifest
	var scripts []rootfs.Script
	for _, script := range m.Postprocess {
		scripts = append(scripts, rootfs.Script{Body: script.Body, From: script.Pos.String()})
	}
	external := ""
	if m.PostprocessScript != nil {
		external = m.PostprocessScript.Path
	}
	return tree.Postprocess(ctx, scripts, external, live)
}

func (s *session) kernel(ctx context.Context, tree *rootfs.Tree, c *commit, live io.Writer) error {
	m := s.config.Manifest
	o := rootfs.KernelOptions{
		DracutArgs: m.InitramfsArgs, NoInitramfs: m.NoInitramfs, KeepBootCopies: m.BootLocation == manifest.BootNew,
	}
	var err error
	if c.kernel, err = tree.PlaceKernel(o); err != nil {
		return err
	}
	if err := tree.Depmod(ctx, c.kernel); err != nil {
		return err
	}
	return s.step("make the initramfs of kernel "+c.kernel, func() error {
		return tree.Initramfs(ctx, c.kernel, o, live)
	})
}

// writeTreefile leaves the flattened manifest in the tree.
func (s *session) writeTreefile(tree *rootfs.Tree) error {
	text, err := s.config.Manifest.JSON()
	if err != nil {
		return err
	}
	path := filepath.Join(tree.Root, "usr/share/rpm-ostree/treefile.json")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

func removals(m *manifest.Manifest) map[string][]*regexp.Regexp {
	rules := map[string][]*regexp.Regexp{}
	for _, rule := range m.RemoveFromPackages {
		rules[rule.Package] = append(rules[rule.Package], rule.Patterns...)
	}
	return rules
}

func values(items []manifest.Item) []string {
	list := make([]string, len(items))
	for i, item := range items {
		list[i] = item.Value
	}
	return list
}
