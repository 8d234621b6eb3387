package build

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"github.com/nestos/nosa-actions/internal/manifest"
	"github.com/nestos/nosa-actions/internal/rootfs"
)

// fill makes the unpacked packages into the tree of the commit. It returns the
// version of the kernel; empty: none.
func (s *session) fill(ctx context.Context, tree *rootfs.Tree, layers, overrides []layer, version string) (kernel string, err error) {
	m := s.config.Manifest
	live, err := s.openLog()
	if err != nil {
		return "", err
	}
	defer live.Close()
	steps := []fillStep{
		{"seed users and groups", func() error { return s.seedAccounts(ctx, tree) }},
		{"remove files of packages", func() error { return tree.RemoveFromPackages(ctx, removals(m)) }},
		{"lay overlays over the packages", func() error { return s.lay(ctx, tree, layers, false) }},
		{"lay overrides over the packages", func() error { return s.lay(ctx, tree, overrides, true) }},
		{"move state below /usr", tree.PlaceState},
		{"run scriptlets", func() error {
			if _, err := tree.Scriptlets(ctx, rootfs.ScriptOptions{Live: live, Scratch: s.scratch(), Langs: m.InstallLangs}); err != nil {
				return err
			}
			return s.completeShadow(tree)
		}},
		{"apply the manifest", func() error { return s.edit(tree, version) }},
		{"run postprocess scripts", func() error { return s.postprocess(ctx, tree, live) }},
	}
	if m.SELinux {
		steps = append(steps, fillStep{"build the SELinux policy", func() error { return tree.BuildPolicy(ctx, live) }})
	}
	for _, step := range steps {
		if err := s.step(step.name, step.do); err != nil {
			return "", fmt.Errorf("%w; see %s", err, s.logPath())
		}
	}
	if !m.Container {
		if kernel, err = s.kernel(ctx, tree, version, live); err != nil {
			return "", fmt.Errorf("%w; see %s", err, s.logPath())
		}
	}
	if m.Rpmdb != manifest.RpmdbHost {
		if err := tree.RewriteDatabase(ctx, s.scratch()); err != nil {
			return "", err
		}
	}
	err = s.step("finalize the tree", func() error {
		return tree.Finalize(rootfs.FinalOptions{
			TmpIsDir: m.TmpIsDir, MachineIDCompat: m.MachineIDCompat,
			EtcGroupMembers: m.EtcGroupMembers, OptUsrlocal: m.OptUsrlocal,
			RefuseDevices: !m.IgnoreDevices,
		})
	})
	if err != nil {
		return "", err
	}
	return kernel, s.step("check users and groups", func() error { return s.checkAccounts(ctx, tree) })
}

type fillStep struct {
	name string
	do   func() error
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

// lay puts layers over the tree. They move from a directory in it, since the
// tree may be a file system of its own.
func (s *session) lay(ctx context.Context, tree *rootfs.Tree, layers []layer, overwrite bool) error {
	scratch := filepath.Join(tree.Root, ".nosa-layer")
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
	if err := s.writeTreefile(tree); err != nil {
		return err
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

// kernel puts the kernel into its place and returns its version.
func (s *session) kernel(ctx context.Context, tree *rootfs.Tree, osVersion string, live io.Writer) (string, error) {
	m := s.config.Manifest
	version, err := tree.PlaceKernel()
	if err != nil {
		return "", err
	}
	if err := tree.Depmod(ctx, version); err != nil {
		return "", err
	}
	if !m.NoInitramfs {
		if err := s.initramfs(ctx, tree, version, osVersion, live); err != nil {
			return "", err
		}
	}
	if m.BootLocation == manifest.BootNew {
		return version, tree.CopyToBoot(version)
	}
	return version, nil
}

func (s *session) initramfs(ctx context.Context, tree *rootfs.Tree, kernel, osVersion string, live io.Writer) error {
	step := s.log.Step("make the initramfs of kernel %s", kernel)
	defer step.Stop()
	o := rootfs.InitramfsOptions{
		DracutArgs: s.config.Manifest.InitramfsArgs,
		Scratch:    s.scratch(), Kept: filepath.Join(s.dir.Tmp(), "initramfs"), Live: live,
	}
	if base := s.config.Manifest.MutateOSRelease; base != "" {
		o.OSVersion, o.OSBase = osVersion, base
	}
	reused, err := tree.Initramfs(ctx, kernel, o)
	if err != nil {
		return err
	}
	if reused {
		step.Done("taken over, nothing that it is made of has changed")
	} else {
		step.Done("")
	}
	return nil
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
