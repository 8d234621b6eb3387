package convert

import (
	"fmt"
	"slices"

	"pault.ag/go/debian/dependency"
	"pault.ag/go/debian/version"

	"github.com/nestos/nosa-actions/tools/rpmpool/deb"
)

// Filesystem is the package that every other one requires: it has the links of
// the usr-merge and the first directories and users.
const Filesystem = "filesystem"

// Relations are RPM's relations of a package, each as "NAME", or
// "NAME OP [EPOCH:]VERSION-RELEASE".
type Relations struct {
	Requires, Recommends, Provides, Conflicts []string
}

// Index knows what the packages of a pool provide, by which alternatives and
// recommendations are decided, and which places belong to the file system
// package.
type Index struct {
	packages map[string]version.Version
	virtual  map[string]bool
	base     map[string]bool
}

// NewIndex indexes the packages of a pool, whose base directories are the files
// of the package named Filesystem.
func NewIndex(all []*deb.Package, base []deb.File) *Index {
	x := &Index{packages: map[string]version.Version{}, virtual: map[string]bool{}, base: map[string]bool{}}
	for _, f := range base {
		x.base[f.Name] = true
	}
	for _, p := range all {
		x.packages[p.Control.Package] = p.Control.Version
		for _, given := range p.Control.Provides.GetAllPossibilities() {
			x.virtual[given.Name] = true
		}
	}
	return x
}

// has says whether the pool satisfies one possibility of a relation.
func (x *Index) has(p dependency.Possibility) bool {
	if v, ok := x.packages[p.Name]; ok && (p.Version == nil || p.Version.SatisfiedBy(v)) {
		return true
	}
	return x.virtual[p.Name]
}

// Relations translates the relations of a package. Of alternatives the first
// that the pool has is taken, recommendations stay only when the pool has them,
// and Breaks are dropped: a pool is one consistent set. A conflict with
// something that the package itself provides, Debian's way to say "only one of
// us", is dropped too, since RPM would count the package against itself.
func (x *Index) Relations(c deb.Control) (Relations, error) {
	var rel Relations
	var err error
	rel.Provides = []string{c.Package + " = " + NewEVR(c.Version).String()}
	own := map[string]bool{c.Package: true}
	for _, p := range c.Provides.GetAllPossibilities() {
		own[p.Name] = true
		if rel.Provides, err = add(rel.Provides, p); err != nil {
			return Relations{}, err
		}
	}
	rel.Requires = []string{Filesystem}
	for _, needs := range []dependency.Dependency{c.PreDepends, c.Depends} {
		for _, r := range needs.Relations {
			if rel.Requires, err = add(rel.Requires, x.choose(r)); err != nil {
				return Relations{}, err
			}
		}
	}
	for _, r := range c.Recommends.Relations {
		if p := x.choose(r); x.has(p) {
			if rel.Recommends, err = add(rel.Recommends, p); err != nil {
				return Relations{}, err
			}
		}
	}
	for _, p := range c.Conflicts.GetAllPossibilities() {
		if own[p.Name] {
			continue
		}
		if rel.Conflicts, err = add(rel.Conflicts, p); err != nil {
			return Relations{}, err
		}
	}
	return rel, nil
}

func (x *Index) choose(r dependency.Relation) dependency.Possibility {
	for _, p := range r.Possibilities {
		if x.has(p) {
			return p
		}
	}
	return r.Possibilities[0]
}

// operators are Debian's and RPM's signs; "<" and ">" are Debian's old ways to
// write "<=" and ">=".
var operators = map[string]string{
	"<<": "<", "<=": "<=", "=": "=", ">=": ">=", ">>": ">", "<": "<=", ">": ">=",
}

func add(list []string, p dependency.Possibility) ([]string, error) {
	text := p.Name
	if p.Version != nil {
		op, ok := operators[p.Version.Operator]
		if !ok {
			return nil, fmt.Errorf("relation to %s: operator %q is not known", p.Name, p.Version.Operator)
		}
		v, err := version.Parse(p.Version.Number)
		if err != nil {
			return nil, fmt.Errorf("relation to %s: %w", p.Name, err)
		}
		text += " " + op + " " + NewEVR(v).String()
	}
	if slices.Contains(list, text) {
		return list, nil
	}
	return append(list, text), nil
}
