package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/nestos/nosa-actions/internal/manifest"
	"github.com/nestos/nosa-actions/internal/ostree"
	"github.com/nestos/nosa-actions/internal/rootfs"
)

// commit is the outcome of the compose.
type commit struct {
	*ostree.Commit
	inputHash string

	// The rest is known of a fresh commit only: one that was made now, not
	// taken from the previous build.
	fresh    bool
	metadata ostree.Metadata
	packages []rootfs.Installed
	owned    []rootfs.Owned // files by package
	kernel   string         // version; empty: none
}

// compose makes the commit, or finds that the previous build's still holds.
func (s *session) compose(ctx context.Context) (*commit, error) {
	layers, overrides, err := s.layers(ctx)
	if err != nil {
		return nil, err
	}
	hash, err := s.inputHash(layers, overrides)
	if err != nil {
		return nil, err
	}
	if s.previous != nil && !s.opt.Force && s.previousMeta.InputHash == hash && s.previousMeta.Ref == s.config.Manifest.Ref {
		s.log.Notef("no change in packages, overlays and manifest since build %s", s.previous.ID)
		shown, err := s.repo.Show(ctx, s.previousMeta.OSTreeCommit)
		if err != nil {
			return nil, err
		}
		return &commit{Commit: shown, inputHash: hash}, nil
	}
	version, err := s.version()
	if err != nil {
		return nil, err
	}
	tree, err := s.unpacked(ctx)
	if err != nil {
		return nil, err
	}
	c := &commit{fresh: true, inputHash: hash}
	if err := s.fill(ctx, tree, c, layers, overrides, version); err != nil {
		return nil, err
	}
	return c, s.commitTree(ctx, tree, c, version)
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

// version is the version of the new commit.
func (s *session) version() (string, error) {
	if s.opt.Version != "" {
		return s.opt.Version, nil
	}
	previous := ""
	if s.previousMeta != nil {
		previous = s.previousMeta.OSTreeVersion
	}
	m := s.config.Manifest
	return manifest.NextVersion(m.AutomaticVersionPrefix, previous, m.AutomaticVersionSuffix, s.now)
}

// commitTree commits the tree, which is gone afterwards.
func (s *session) commitTree(ctx context.Context, tree *rootfs.Tree, c *commit, version string) error {
	step := s.log.Step("commit the tree")
	defer step.Stop()
	c.metadata = s.commitMetadata(c, version)
	checksum, err := s.repo.CommitTree(ctx, ostree.TreeCommit{
		Tree: tree.Root, Ref: s.config.Manifest.Ref, Parent: s.opt.Parent, Timestamp: s.now, Metadata: c.metadata,
		SELinux: s.config.Manifest.SELinux,
	})
	if err != nil {
		return err
	}
	if c.Commit, err = s.repo.Show(ctx, checksum); err != nil {
		return err
	}
	step.Done("%s", checksum)
	return nil
}

// commitMetadata is what the commit says of itself: the config's own keys first,
// then those that clients of the system rely on.
func (s *session) commitMetadata(c *commit, version string) ostree.Metadata {
	m := s.config.Manifest
	meta := ostree.Metadata{}
	for key, value := range m.AddCommitMetadata {
		meta[key] = value
	}
	if s.git != nil {
		meta["coreos-assembler.config-gitrev"] = s.git.Describe
		meta["coreos-assembler.config-dirty"] = fmt.Sprint(s.git.Dirty)
	}
	meta["coreos-assembler.basearch"] = s.dir.Arch.RPM
	meta["version"] = version
	meta["rpmostree.inputhash"] = c.inputHash
	var list [][5]string
	for _, p := range c.packages {
		list = append(list, [5]string{p.Name, p.Epoch, p.Version, p.Release, p.Arch})
	}
	slices.SortFunc(list, func(a, b [5]string) int { return slices.Compare(a[:], b[:]) })
	meta["rpmostree.rpmdb.pkglist"] = list
	var repos []ostree.RepoTime
	for _, id := range slices.Sorted(maps.Keys(s.fetched.Repos)) {
		repos = append(repos, ostree.RepoTime{ID: id, Timestamp: s.fetched.Repos[id]})
	}
	meta["rpmostree.rpmmd-repos"] = repos
	if len(m.InitramfsArgs) > 0 {
		meta["rpmostree.initramfs-args"] = m.InitramfsArgs
	}
	if len(m.ContainerCmd) > 0 {
		meta["ostree.container-cmd"] = m.ContainerCmd
	}
	if c.kernel != "" {
		meta["ostree.linux"] = c.kernel
		meta["ostree.bootable"] = true
	}
	return meta
}
