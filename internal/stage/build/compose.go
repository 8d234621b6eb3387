package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"

	"github.com/nestos/nosa-actions/internal/ostree"
	"github.com/nestos/nosa-actions/internal/rootfs"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// commit is the outcome of the compose.
type commit struct {
	*ostree.Commit
	// record is what the compose, now or earlier, recorded of the commit: the
	// compose JSON, or the metadata of the build that already has it.
	record workdir.Meta
	fresh  bool // made by this run
}

// compose makes the commit, or finds one that was made of the same input: by an
// earlier run that did not get to a build, or by the newest build.
func (s *session) compose(ctx context.Context) (*commit, error) {
	layers, overrides, err := s.layers(ctx)
	if err != nil {
		return nil, err
	}
	hash, err := s.inputHash(layers, overrides)
	if err != nil {
		return nil, err
	}
	if !s.opt.Force {
		if c, err := s.made(hash); c != nil || err != nil {
			return c, err
		}
	}
	return s.make(ctx, hash, layers, overrides)
}

// make makes the commit.
func (s *session) make(ctx context.Context, hash string, layers, overrides []layer) (*commit, error) {
	version, err := s.version()
	if err != nil {
		return nil, err
	}
	if err := s.checkFree(version, hash); err != nil {
		return nil, err
	}
	tree, err := s.unpacked(ctx)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	packages, err := tree.Packages(ctx)
	if err != nil {
		return nil, err
	}
	kernel, err := s.fill(ctx, tree, layers, overrides, version)
	if err != nil {
		return nil, err
	}
	if err := s.step("gather the tree", tree.Settle); err != nil {
		return nil, err
	}
	return s.commitTree(ctx, tree, s.commitMetadata(version, hash, kernel, packages))
}

// inputHash is a digest of all that decides about the content of the commit:
// neither version nor time are part of it.
func (s *session) inputHash(layers, overrides []layer) (string, error) {
	digest, err := s.config.Manifest.Digest()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "manifest %s\n", digest)
	for _, p := range s.fetched.Packages {
		fmt.Fprintf(h, "package %s %s\n", p.NEVRA(), p.Checksum)
	}
	for _, l := range layers {
		fmt.Fprintf(h, "layer %s\n", l.content)
	}
	for _, l := range overrides {
		fmt.Fprintf(h, "override %s\n", l.content)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// parentCommit is the checksum of the commit's parent; empty: none.
func (s *session) parentCommit() string {
	if s.opt.Parent == "" && s.parent != nil {
		return s.parent.commit.Checksum
	}
	return s.opt.Parent
}

// commitTree commits the tree, which is gone afterwards, and records that.
func (s *session) commitTree(ctx context.Context, tree *rootfs.Tree, metadata ostree.Metadata) (*commit, error) {
	step := s.log.Step("commit the tree")
	defer step.Stop()
	m := s.config.Manifest
	checksum, stats, err := s.repo.CommitTree(ctx, ostree.TreeCommit{
		Tree: tree.Root, Ref: m.Ref, Parent: s.parentCommit(), Timestamp: s.commitTime(), Metadata: metadata, SELinux: m.SELinux,
		ReadonlyExecutables: m.ReadonlyExecutables, Shared: s.shared(),
	})
	if err != nil {
		return nil, err
	}
	s.discarded.Go(func() error { return os.RemoveAll(tree.Root) })
	shown, err := s.repo.Show(checksum)
	if err != nil {
		return nil, err
	}
	record, err := s.writeComposeJSON(shown, stats)
	if err != nil {
		return nil, err
	}
	step.Done("%s", checksum)
	return &commit{Commit: shown, record: *record, fresh: true}, nil
}
