package build

import (
	"encoding/json"
	"maps"
	"slices"

	rpmversion "github.com/knqyf263/go-rpm-version"

	"github.com/nestos/nosa-actions/internal/ostree"
	"github.com/nestos/nosa-actions/internal/progress"
)

// change is what happened to one package between two commits: one of before and
// after is nil if it was added or removed.
type change struct {
	before, after *ostree.Package
}

// kind is rpm-ostree's number for the change: 0 added, 1 removed, 2 upgraded, 3
// downgraded.
func (c change) kind() int {
	switch {
	case c.before == nil:
		return 0
	case c.after == nil:
		return 1
	case rpmVersion(c.after).LessThan(rpmVersion(c.before)):
		return 3
	}
	return 2
}

func (c change) name() string {
	if c.after != nil {
		return c.after.Name
	}
	return c.before.Name
}

func rpmVersion(p *ostree.Package) rpmversion.Version {
	return rpmversion.NewVersion(p.Epoch + ":" + p.Version + "-" + p.Release)
}

// diff lists the changes by name. Of a name that is installed several times,
// packages of one architecture are held against each other first.
func diff(before, after []ostree.Package) []change {
	old, now := byName(before), byName(after)
	names := maps.Clone(old)
	maps.Copy(names, now)
	changes := []change{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		changes = append(changes, pair(old[name], now[name])...)
	}
	return changes
}

func byName(packages []ostree.Package) map[string][]ostree.Package {
	m := map[string][]ostree.Package{}
	for _, p := range packages {
		m[p.Name] = append(m[p.Name], p)
	}
	return m
}

// pair matches the packages of one name: the same ones, which are no change,
// then those of one architecture, then what is left.
func pair(before, after []ostree.Package) []change {
	before, after = slices.Clone(before), slices.Clone(after)
	var changes []change
	for _, matches := range []func(a, b ostree.Package) bool{
		func(a, b ostree.Package) bool { return a == b },
		func(a, b ostree.Package) bool { return a.Arch == b.Arch },
		func(ostree.Package, ostree.Package) bool { return true },
	} {
		for i := 0; i < len(before); i++ {
			old := before[i]
			at := slices.IndexFunc(after, func(p ostree.Package) bool { return matches(old, p) })
			if at < 0 {
				continue
			}
			if now := after[at]; now != old {
				changes = append(changes, change{&old, &now})
			}
			before, after = slices.Delete(before, i, i+1), slices.Delete(after, at, at+1)
			i--
		}
	}
	for _, p := range before {
		changes = append(changes, change{before: &p})
	}
	for _, p := range after {
		changes = append(changes, change{after: &p})
	}
	return changes
}

// encodeDiff writes changes as meta.json has them: [name, kind, details].
func encodeDiff(changes []change) ([]json.RawMessage, error) {
	list := make([]json.RawMessage, len(changes))
	for i, c := range changes {
		details := map[string][3]string{}
		if c.before != nil {
			details["PreviousPackage"] = row(c.before)
		}
		if c.after != nil {
			details["NewPackage"] = row(c.after)
		}
		text, err := json.Marshal([]any{c.name(), c.kind(), details})
		if err != nil {
			return nil, err
		}
		list[i] = text
	}
	return list, nil
}

// row is [name, version, arch], the epoch left out when 0.
func row(p *ostree.Package) [3]string { return [3]string{p.Name, evr(p), p.Arch} }

func evr(p *ostree.Package) string {
	text := p.Version + "-" + p.Release
	if p.Epoch != "0" && p.Epoch != "" {
		text = p.Epoch + ":" + text
	}
	return text
}

// tell writes the changes into the log.
func tell(log *progress.Log, since string, changes []change) {
	if len(changes) == 0 {
		log.Notef("no package differs from %s", since)
		return
	}
	titles := [...]string{"added", "removed", "upgraded", "downgraded"}
	log.Notef("packages that differ from %s: %d", since, len(changes))
	for _, kind := range []int{2, 3, 1, 0} {
		for _, c := range changes {
			if c.kind() != kind {
				continue
			}
			switch {
			case c.before == nil:
				log.Notef("  %-10s  %s %s", titles[kind], c.name(), evr(c.after))
			case c.after == nil:
				log.Notef("  %-10s  %s %s", titles[kind], c.name(), evr(c.before))
			default:
				log.Notef("  %-10s  %s %s -> %s", titles[kind], c.name(), evr(c.before), evr(c.after))
			}
		}
	}
}
