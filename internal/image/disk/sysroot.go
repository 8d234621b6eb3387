package disk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/format/bls"
	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/tool"
)

// alephFile tells, on the physical root, what the machine was installed from.
const alephFile = ".nestos-aleph-version.json"

// sysroot is a physical root in a directory.
type sysroot struct {
	path       string
	deployment string // the deployed tree, absolute
	entry      bls.Entry
	entryFile  string // name of the boot entry
}

// deploy makes a physical root with the commit as its only deployment.
func deploy(ctx context.Context, r tool.Runner, in Input) (*sysroot, error) {
	s := &sysroot{path: filepath.Join(in.Scratch, "sysroot")}
	repo := filepath.Join(s.path, "ostree/repo")
	ostree := func(args ...string) error {
		_, err := r.Run(ctx, tool.Cmd{Name: "ostree", Args: args, Env: []string{
			// The scratch directory is thrown away: no flushing, and no
			// immutable flag, which could not be removed; seal sets it.
			"OSTREE_SYSROOT_OPTS=skip-sync", "OSTREE_SYSROOT_DEBUG=mutable-deployments",
		}})
		return err
	}
	if err := os.Mkdir(s.path, 0o755); err != nil {
		return nil, err
	}
	if err := ostree("admin", "init-fs", "--modern", s.path); err != nil {
		return nil, fmt.Errorf("initialising the root: %w", err)
	}
	if err := ostree("config", "--repo="+repo, "set", "core.fsync", "false"); err != nil {
		return nil, fmt.Errorf("configuring the root: %w", err)
	}
	if err := ostree("admin", "os-init", "--sysroot="+s.path, in.Stateroot); err != nil {
		return nil, fmt.Errorf("initialising stateroot %s: %w", in.Stateroot, err)
	}
	if err := ostree("pull-local", "--repo="+repo, "--disable-fsync", in.Repo, in.Commit); err != nil {
		return nil, fmt.Errorf("pulling commit %s from %s: %w", in.Commit, in.Repo, err)
	}
	target := in.Commit
	if in.Config.OSTreeRemote != "" {
		target = in.Config.OSTreeRemote + ":" + in.Ref
		if err := ostree("refs", "--repo="+repo, "--create="+target, in.Commit); err != nil {
			return nil, fmt.Errorf("naming the commit %s: %w", target, err)
		}
	}
	if err := prepareSyslinuxMenu(s.path); err != nil {
		return nil, fmt.Errorf("preparing the boot menu: %w", err)
	}
	args := []string{"admin", "deploy", "--sysroot=" + s.path, "--os=" + in.Stateroot, "--no-merge"}
	for _, karg := range image.Kargs(in.Kind, in.Arch, in.Config, in.Platforms) {
		args = append(args, "--karg-append="+karg)
	}
	if err := ostree(append(args, target)...); err != nil {
		return nil, fmt.Errorf("deploying %s: %w", target, err)
	}
	if err := s.inspect(in); err != nil {
		return nil, err
	}
	if err := s.writeAleph(in); err != nil {
		return nil, fmt.Errorf("writing %s: %w", alephFile, err)
	}
	return s, nil
}

// inspect finds what ostree made and checks it against what was asked for.
func (s *sysroot) inspect(in Input) error {
	s.deployment = filepath.Join(s.path, "ostree/deploy", in.Stateroot, "deploy", in.Commit+".0")
	if _, err := os.Stat(filepath.Join(s.deployment, "usr")); err != nil {
		return fmt.Errorf("the deployment is not where it should be: %w", err)
	}
	entries, err := filepath.Glob(filepath.Join(s.path, "boot/loader/entries/ostree-*.conf"))
	if err != nil {
		return err
	}
	if len(entries) != 1 {
		return fmt.Errorf("ostree wrote %d boot entries instead of one", len(entries))
	}
	text, err := os.ReadFile(entries[0])
	if err != nil {
		return err
	}
	if s.entry, err = bls.Parse(text); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(entries[0]), err)
	}
	s.entryFile = filepath.Base(entries[0])
	want := image.Kargs(in.Kind, in.Arch, in.Config, in.Platforms)
	got := slices.DeleteFunc(slices.Clone(s.entry.Options), func(arg string) bool {
		return strings.HasPrefix(arg, "ostree=")
	})
	if !slices.Equal(want, got) {
		return fmt.Errorf("ostree wrote the kernel arguments %q instead of %q", got, want)
	}
	return nil
}

// aleph is the content of alephFile; the order of the keys is part of it.
type aleph struct {
	Build   string `json:"build"`
	Ref     string `json:"ref"`
	Commit  string `json:"ostree-commit"`
	ImageID string `json:"imgid"`
}

func (s *sysroot) writeAleph(in Input) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	err := enc.Encode(aleph{
		Build: in.BuildID, Ref: in.Ref, Commit: in.Commit,
		ImageID: in.Kind.FileName(in.Stateroot, in.BuildID, in.Arch),
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.path, alephFile), text.Bytes(), 0o644)
}

// measure counts the objects of a bare repository that holds one commit alone,
// so that all of its objects are reachable from it.
func measure(objects string) (image.Content, error) {
	var content image.Content
	err := filepath.WalkDir(objects, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			content.Add(info.Size())
		}
		return err
	})
	return content, err
}
