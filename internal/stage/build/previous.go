package build

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	rpmversion "github.com/knqyf263/go-rpm-version"

	"github.com/nestos/nosa-actions/internal/image/oci"
	"github.com/nestos/nosa-actions/internal/lock"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// ensureCommit makes sure that the repository, which may have been thrown away,
// holds the commit of a build.
func (s *session) ensureCommit(ctx context.Context, build workdir.Build, meta *workdir.Meta) error {
	if !s.repo.Has(meta.OSTreeCommit) || s.repo.IsPartial(meta.OSTreeCommit) {
		step := s.log.Step("import the commit of build %s", build.ID)
		defer step.Stop()
		if _, err := oci.Import(ctx, s.run, build.Path(meta.Images["ostree"].Path), s.repo.Path); err != nil {
			return fmt.Errorf("import the commit of build %s: %w", build.ID, err)
		}
		step.Done("")
	}
	return s.repo.SetRef(ctx, build.ID, meta.OSTreeCommit)
}

// packageDiff compares the packages with those of the previous build. A change
// is [name, type, details] with the types of rpm-ostree: 0 added, 1 removed, 2
// upgraded, 3 downgraded.
func (s *session) packageDiff() ([][3]any, error) {
	name := "manifest-lock.generated." + s.dir.Arch.RPM + ".json"
	before, err := lock.Load(s.previous.Path(name))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	after, err := s.fetched.Lockfile()
	if err != nil {
		return nil, err
	}
	return diff(before, after)
}

func diff(before, after *lock.File) ([][3]any, error) {
	names := map[string]bool{}
	for _, file := range []*lock.File{before, after} {
		for name := range file.Packages {
			names[name] = true
		}
	}
	changes := [][3]any{}
	for _, name := range sortedKeys(names) {
		old, had := before.Packages[name]
		now, has := after.Packages[name]
		if had && has && old.EVRA == now.EVRA {
			continue
		}
		details := map[string]any{}
		kind := 2
		for key, p := range map[string]lock.Package{"PreviousPackage": old, "NewPackage": now} {
			if p.EVRA == "" {
				continue
			}
			row, err := packageRow(name, p)
			if err != nil {
				return nil, err
			}
			details[key] = row
		}
		switch {
		case !had:
			kind = 0
		case !has:
			kind = 1
		case rpmversion.NewVersion(evr(now)).LessThan(rpmversion.NewVersion(evr(old))):
			kind = 3
		}
		changes = append(changes, [3]any{name, kind, details})
	}
	return changes, nil
}

// packageRow is [name, version, arch], the epoch left out when 0.
func packageRow(name string, p lock.Package) ([3]string, error) {
	exact, err := p.Exact()
	if err != nil {
		return [3]string{}, err
	}
	a := exact.Arch
	exact.Arch = ""
	return [3]string{name, exact.String(), a}, nil
}

func evr(p lock.Package) string {
	at := strings.LastIndexByte(p.EVRA, '.')
	return p.EVRA[:max(at, 0)]
}

func sortedKeys(set map[string]bool) []string {
	keys := make([]string, 0, len(set))
	for key := range set {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
