package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	rpmversion "github.com/knqyf263/go-rpm-version"

	"github.com/nestos/nosa-actions/internal/release/sbom"
)

// commitMeta is what a release needs of commitmeta.json.
type commitMeta struct {
	Packages     [][5]string `json:"rpmostree.rpmdb.pkglist"` // name, epoch, version, release, arch
	NestOSStream string      `json:"nestos.stream"`
	FCOSStream   string      `json:"fedora-coreos.stream"`
}

// readCommitMeta reads a commitmeta.json; one that is missing is empty, as old
// builds have none.
func readCommitMeta(path string) (commitMeta, error) {
	var m commitMeta
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		return m, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func (m commitMeta) stream() string {
	if m.NestOSStream != "" {
		return m.NestOSStream
	}
	return m.FCOSStream
}

// packages is the content of the commit's rpm database, sorted.
func (m commitMeta) packages() []sbom.Package {
	var list []sbom.Package
	for _, p := range m.Packages {
		if p[1] == "0" {
			p[1] = ""
		}
		list = append(list, sbom.Package{Name: p[0], Epoch: p[1], Version: p[2], Release: p[3], Arch: p[4]})
	}
	slices.SortFunc(list, func(a, b sbom.Package) int { return strings.Compare(a.NEVRA(), b.NEVRA()) })
	return list
}

// change is what happened to a package; before or after is nil if it was added
// or removed.
type change struct {
	before, after *sbom.Package
}

// kinds of a change are rpm-ostree's.
const (
	added = iota
	removed
	upgraded
	downgraded
)

func (c change) kind() int {
	switch {
	case c.before == nil:
		return added
	case c.after == nil:
		return removed
	case rpmversion.NewVersion(c.after.EVR()).LessThan(rpmversion.NewVersion(c.before.EVR())):
		return downgraded
	}
	return upgraded
}

func (c change) name() string {
	if c.after != nil {
		return c.after.Name
	}
	return c.before.Name
}

// MarshalJSON writes a change as pkgdiff of meta.json has it.
func (c change) MarshalJSON() ([]byte, error) {
	details := map[string][3]string{}
	if c.before != nil {
		details["PreviousPackage"] = [3]string{c.before.Name, c.before.EVR(), c.before.Arch}
	}
	if c.after != nil {
		details["NewPackage"] = [3]string{c.after.Name, c.after.EVR(), c.after.Arch}
	}
	return json.Marshal([]any{c.name(), c.kind(), details})
}

// diff lists what changed from one list of packages to another, by name. Of a
// name that is installed several times, those in both lists are set aside and
// the others paired in order.
func diff(before, after []sbom.Package) []change {
	type key struct{ name, arch string }
	old, now := map[key][]*sbom.Package{}, map[key][]*sbom.Package{}
	var keys []key
	add := func(m map[key][]*sbom.Package, list, other []sbom.Package) {
		for _, p := range list {
			k := key{p.Name, p.Arch}
			if !slices.Contains(other, p) {
				m[k] = append(m[k], &p)
				keys = append(keys, k)
			}
		}
	}
	add(old, before, after)
	add(now, after, before)
	slices.SortFunc(keys, func(a, b key) int { return strings.Compare(a.name+"\x00"+a.arch, b.name+"\x00"+b.arch) })
	changes := []change{}
	for _, k := range slices.Compact(keys) {
		for i := range max(len(old[k]), len(now[k])) {
			var c change
			if i < len(old[k]) {
				c.before = old[k][i]
			}
			if i < len(now[k]) {
				c.after = now[k][i]
			}
			changes = append(changes, c)
		}
	}
	return changes
}
