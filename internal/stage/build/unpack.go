package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nestos/nosa-actions/internal/manifest"
	"github.com/nestos/nosa-actions/internal/rootfs"
	"github.com/nestos/nosa-actions/internal/rpmrepo"
)

// unpacked gives a tree of the unpacked packages to change and to close. The
// original is kept for as long as the packages stay the same.
func (s *session) unpacked(ctx context.Context) (*rootfs.Tree, error) {
	packages := rpmrepo.Cache(s.dir.Cache()).Packages()
	step := s.log.Step("verify %d packages", len(s.fetched.Packages))
	defer step.Stop()
	if err := rpmrepo.VerifyAll(ctx, s.fetched.Packages, packages); err != nil {
		return nil, fmt.Errorf("the cache is damaged, run nosa fetch: %w", err)
	}
	step.Done("")

	kept, key := filepath.Join(s.dir.Tmp(), "unpacked"), s.unpackKey()
	original := &rootfs.Tree{Root: filepath.Join(kept, key), Run: s.run, Epoch: s.epoch()}
	if !exists(original.Root) {
		step := s.log.Step("unpack %d packages", len(s.fetched.Packages))
		defer step.Stop()
		if err := s.unpack(ctx, kept, original, packages); err != nil {
			return nil, err
		}
		step.Done("")
	}
	root := filepath.Join(s.scratch(), "rootfs")
	if s.shared() {
		return original.Overlay(ctx, root)
	}
	step = s.log.Step("copy the unpacked packages")
	defer step.Stop()
	tree, err := original.Copy(ctx, root)
	if err != nil {
		return nil, err
	}
	step.Done("")
	return tree, nil
}

// shared tells whether the unpacked packages, the trees made of them and the
// repository share files. Labels of SELinux are part of a file, and differ from
// one policy to the next.
func (s *session) shared() bool { return !s.config.Manifest.SELinux }

// unpack makes the original in place of any older one.
func (s *session) unpack(ctx context.Context, kept string, original *rootfs.Tree, packages string) error {
	if err := os.RemoveAll(kept); err != nil {
		return err
	}
	m := s.config.Manifest
	half := &rootfs.Tree{Root: original.Root + ".half", Run: s.run, Epoch: original.Epoch}
	paths := make([]string, len(s.fetched.Packages))
	for i, p := range s.fetched.Packages {
		paths[i] = filepath.Join(packages, p.File)
	}
	err := half.Unpack(ctx, paths, rootfs.UnpackOptions{
		NoDocs: !m.Documentation, Langs: m.InstallLangs, UsrLocal: m.OptUsrlocal != manifest.OptVar,
	})
	if err != nil {
		return err
	}
	if s.shared() {
		if err := s.repo.Adopt(ctx, half.Root); err != nil {
			return err
		}
	}
	return os.Rename(half.Root, original.Root)
}

// epoch stands for the time of the compose inside the tree. It depends on the
// packages alone, so that an unchanged package gives unchanged files.
func (s *session) epoch() time.Time {
	var newest int64
	for _, p := range s.fetched.Packages {
		newest = max(newest, p.BuildTime)
	}
	return time.Unix(newest, 0).UTC()
}

// unpackKey names a tree by all that decides about its content.
func (s *session) unpackKey() string {
	m := s.config.Manifest
	h := sha256.New()
	fmt.Fprintf(h, "shared=%t docs=%t langs=%q opt-usrlocal=%s epoch=%d\n", s.shared(), m.Documentation, m.InstallLangs, m.OptUsrlocal, s.epoch().Unix())
	for _, p := range s.fetched.Packages {
		fmt.Fprintln(h, p.NEVRA(), p.Checksum)
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}
