package build

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/nestos/nosa-actions/internal/manifest"
	"github.com/nestos/nosa-actions/internal/ostree"
	"github.com/nestos/nosa-actions/internal/rootfs"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// versionKey is the commit's key for its version. A config may set it, which
// turns the automatic version off.
const versionKey = "version"

// version is the version of the new commit.
func (s *session) version() (string, error) {
	m := s.config.Manifest
	if s.opt.Version != "" {
		return s.opt.Version, nil
	}
	if fixed, ok := m.AddCommitMetadata[versionKey].(string); ok {
		return fixed, nil
	}
	return s.nextVersion()
}

// nextVersion is the automatic version after that of the newest build. Versions
// that any build has used up, even one whose directory is gone, are passed over.
func (s *session) nextVersion() (string, error) {
	m := s.config.Manifest
	index, err := s.dir.Index()
	if err != nil {
		return "", err
	}
	version := index.Latest(s.dir.Arch.RPM)
	if s.previous != nil {
		version = s.previous.meta.OSTreeVersion
	}
	for {
		version, err = manifest.NextVersion(m.AutomaticVersionPrefix, version, m.AutomaticVersionSuffix, s.versionTime())
		if err != nil {
			return "", err
		}
		if e, ok := index.Find(version); !ok || !slices.Contains(e.Arches, s.dir.Arch.RPM) {
			return version, nil
		}
	}
}

// checkFree refuses, before the long work, a version that a build of other input
// has. One of the same input may well turn out to be the same commit.
func (s *session) checkFree(version, hash string) error {
	taken, err := s.dir.Build(version)
	if errors.Is(err, workdir.ErrNoBuild) {
		return nil
	}
	if err != nil {
		return err
	}
	meta, err := taken.Meta()
	if err == nil && meta.InputHash != hash {
		err = errTaken(version)
	}
	return err
}

func errTaken(id string) error {
	return fmt.Errorf("there is a build %s of another commit; give the new one another --version, or remove the old one with nosa prune", id)
}

// commitMetadata is what the commit says of itself: the config's own keys first,
// then what is known of the config, then those that clients of the system rely
// on. The later wins.
func (s *session) commitMetadata(version, inputHash, kernel string, packages []rootfs.Installed) ostree.Metadata {
	m := s.config.Manifest
	meta := ostree.Metadata{}
	maps.Copy(meta, m.AddCommitMetadata)
	if s.git != nil {
		meta["coreos-assembler.config-gitrev"] = s.git.Describe
		meta["coreos-assembler.config-dirty"] = fmt.Sprint(s.git.Dirty)
	}
	meta["coreos-assembler.basearch"] = s.dir.Arch.RPM
	meta[versionKey] = version
	meta["rpmostree.inputhash"] = inputHash
	meta["rpmostree.rpmdb.pkglist"] = packageList(packages)
	if m.RepoMetadata != "disabled" {
		meta["rpmostree.rpmmd-repos"] = s.repoTimes()
	}
	if len(m.InitramfsArgs) > 0 {
		meta["rpmostree.initramfs-args"] = m.InitramfsArgs
	}
	if len(m.ContainerCmd) > 0 {
		meta["ostree.container-cmd"] = m.ContainerCmd
	}
	if kernel != "" {
		meta["ostree.linux"] = kernel
		meta["ostree.bootable"] = true
	}
	return meta
}

func packageList(packages []rootfs.Installed) [][5]string {
	list := make([][5]string, len(packages))
	for i, p := range packages {
		list[i] = [5]string{p.Name, p.Epoch, p.Version, p.Release, p.Arch}
	}
	slices.SortFunc(list, func(a, b [5]string) int { return slices.Compare(a[:], b[:]) })
	return list
}

func (s *session) repoTimes() []ostree.RepoTime {
	var times []ostree.RepoTime
	for _, id := range slices.Sorted(maps.Keys(s.fetched.Repos)) {
		times = append(times, ostree.RepoTime{ID: id, Timestamp: s.fetched.Repos[id]})
	}
	return times
}
