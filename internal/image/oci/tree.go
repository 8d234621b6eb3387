package oci

import (
	"context"
	"fmt"
	"slices"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo"
	"github.com/nestos/nosa-actions/internal/format/ostreetar"
)

// object is a content object with all the paths that show it.
type object struct {
	sum    ostreerepo.Checksum
	header ostreerepo.Header
	paths  []string
}

// tree is a commit, taken apart for the layers.
type tree struct {
	repo    *ostreerepo.Repo
	sum     ostreerepo.Checksum
	commit  *ostreerepo.Commit
	dirs    []ostreerepo.Entry
	objects []*object // in the order of their first path
}

// readTree walks the commit.
func readTree(ctx context.Context, dir, rev string) (*tree, error) {
	repo, err := ostreerepo.Open(dir)
	if err != nil {
		return nil, err
	}
	t := &tree{repo: repo}
	if t.sum, err = repo.Resolve(rev); err != nil {
		return nil, err
	}
	if t.commit, err = repo.Commit(t.sum); err != nil {
		return nil, err
	}
	seen := map[ostreerepo.Checksum]*object{}
	err = repo.Walk(t.commit, func(e ostreerepo.Entry) error {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := ostreetar.CheckPath(e.Path); err != nil {
			return err
		}
		if e.Dir {
			t.dirs = append(t.dirs, e)
			return nil
		}
		o := seen[e.Checksum]
		if o == nil {
			o = &object{sum: e.Checksum, header: e.Header}
			seen[e.Checksum] = o
			t.objects = append(t.objects, o)
		}
		o.paths = append(o.paths, e.Path)
		return nil
	})
	return t, err
}

// chunk is a layer of files in the making.
type chunk struct {
	packages []string // sorted; what the annotation lists
	objects  []*object
	size     uint64 // bytes of content
}

// chunks groups the objects by package and the packages into at most limit
// layers. What nobody owns comes first, as its own chunk, and then components.
func (t *tree) chunks(in ExportInput, previous [][]string) ([]*chunk, error) {
	limit := in.MaxLayers
	owners, err := newOwners(in.Packages, in.Components)
	if err != nil {
		return nil, err
	}
	rest := &chunk{packages: []string{unpackaged}}
	owned := map[string]*chunk{} // by package or component, one each
	for _, o := range t.objects {
		c := rest
		if owner := owners.of(o); owner != "" {
			if c = owned[owner]; c == nil {
				c = &chunk{packages: []string{owner}}
				owned[owner] = c
			}
		}
		c.objects = append(c.objects, o)
		c.size += o.header.Size
	}
	var result []*chunk
	if len(rest.objects) > 0 {
		result = append(result, rest)
		limit--
	}
	for _, component := range in.Components {
		if c := owned[component.Name]; c != nil {
			result = append(result, c)
			delete(owned, component.Name)
		}
	}
	if len(owned) == 0 {
		return result, nil
	}
	if limit < 1 {
		return nil, fmt.Errorf("%d layers are too few: one is for files of packages and one for those of none", limit+1)
	}
	for _, names := range assign(units(in.Packages, owned), limit, previous) {
		c := &chunk{packages: names}
		for _, name := range names {
			c.objects = append(c.objects, owned[name].objects...)
			c.size += owned[name].size
		}
		result = append(result, c)
	}
	return result, nil
}

// units puts the packages that own something together by their source. A unit
// has the name of its first package, because that of a source may carry a
// version, with which it would move.
func units(packages []PackageFiles, owned map[string]*chunk) []unit {
	at := map[string]int{}
	var list []unit
	for _, p := range packages {
		c := owned[p.Name]
		if c == nil {
			continue
		}
		source := p.Source
		if source == "" {
			source = p.Name
		}
		i, ok := at[source]
		if !ok {
			i = len(list)
			at[source] = i
			list = append(list, unit{})
		}
		if !slices.Contains(list[i].packages, p.Name) {
			list[i].packages = append(list[i].packages, p.Name)
			list[i].size += c.size
		}
	}
	for i := range list {
		slices.Sort(list[i].packages)
		list[i].name = list[i].packages[0]
	}
	return list
}
