package manifest

import (
	"cmp"
	"slices"

	"github.com/nestos/nosa-actions/internal/format/document"
)

// merging is how a key of an included treefile joins the includer's.
type merging int

const (
	keepOuter  merging = iota // the includer's value wins as a whole
	innerFirst                // lists: the included one's items come first
	outerKeys                 // mappings: the includer's value wins for each key
)

// merge joins an included treefile into the one that includes it.
func merge(outer, inner tree) tree {
	for key, in := range inner {
		out, both := outer[key]
		if !both {
			outer[key] = in
			continue
		}
		switch schema[key].merging {
		case keepOuter:
		case innerFirst:
			out.Items = slices.Concat(in.Items, out.Items)
		case outerKeys:
			out.Fields = unionFields(out.Fields, in.Fields)
		}
		outer[key] = out
	}
	return outer
}

func unionFields(outer, inner []document.Field) []document.Field {
	union := slices.Clone(outer)
	for _, f := range inner {
		if !slices.ContainsFunc(outer, func(o document.Field) bool { return o.Key == f.Key }) {
			union = append(union, f)
		}
	}
	return union
}

// lastRepoWins leaves a package that several entries name only in the last of
// them, and drops entries that have none left.
func lastRepoWins(entries []document.Node) []document.Node {
	seen := map[string]bool{}
	var kept []document.Node
	for _, entry := range slices.Backward(entries) {
		entry.Fields = slices.Clone(entry.Fields)
		left := 0
		for i, f := range entry.Fields {
			if f.Key != "packages" {
				continue
			}
			f.Value.Items = slices.DeleteFunc(slices.Clone(f.Value.Items), func(p document.Node) bool { return seen[p.Text] })
			entry.Fields[i] = f
			left = len(f.Value.Items)
			for _, p := range f.Value.Items {
				seen[p.Text] = true
			}
		}
		if left > 0 {
			kept = append(kept, entry)
		}
	}
	slices.Reverse(kept)
	return kept
}

// sortedSet sorts strings bytewise and drops repeated ones. Of equal ones the
// last stays, which is the outermost.
func sortedSet(items []document.Node) []document.Node {
	sorted := slices.Clone(items)
	slices.Reverse(sorted)
	slices.SortStableFunc(sorted, func(a, b document.Node) int { return cmp.Compare(a.Text, b.Text) })
	return slices.CompactFunc(sorted, func(a, b document.Node) bool { return a.Text == b.Text })
}
