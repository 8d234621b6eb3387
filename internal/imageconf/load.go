package imageconf

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
)

// maxDepth is the number of includes that may follow from each other.
const maxDepth = 50

// Load reads image.yaml with its includes and puts it over the defaults. The
// error is a *diag.Errors that holds every finding.
func Load(path string) (*Config, error) {
	var found diag.List
	flat := flatten(path, &found)
	c := decode(flat, &found)
	if err := found.Err(); err != nil {
		return nil, err
	}
	c.raw = defaults()
	for _, f := range flat {
		if f.Value.Kind != document.Null {
			c.raw[f.Key] = f.Value.Any()
		}
	}
	c.raw["grub-script"] = GrubScript
	c.GrubScript = GrubScript
	c.Warnings = found.Sorted()
	return c, nil
}

// Parse reads what JSON wrote, in this version or another.
func Parse(data []byte) (*Config, error) {
	const name = "image.json"
	n, err := document.Parse(name, data)
	if err != nil {
		return nil, err
	}
	var found diag.List
	if !n.Expect(&found, document.Map) {
		return nil, found.Err()
	}
	c := decode(n.Fields, &found)
	if err := found.Err(); err != nil {
		return nil, err
	}
	c.raw, _ = n.Any().(map[string]any)
	for key, value := range defaults() {
		if _, given := c.raw[key]; !given {
			c.raw[key] = value
		}
	}
	if c.GrubScript == "" {
		c.GrubScript = GrubScript
		c.raw["grub-script"] = GrubScript
	}
	return c, nil
}

// flatten follows the chain of includes. An including file wins over the
// included one; mappings and lists join.
func flatten(path string, found *diag.List) []document.Field {
	var flat []document.Field
	visited := map[string]bool{}
	pos := diag.Pos{File: path}
	for depth := 0; ; depth++ {
		switch {
		case visited[path]:
			found.Addf(pos, "include: the file was already included as %s; a file may be reached only once", path)
			return flat
		case depth > maxDepth:
			found.Addf(pos, "include: %s is more than %d includes deep", path, maxDepth)
			return flat
		}
		visited[path] = true
		n, ok := readMapping(path, pos, found)
		if !ok {
			return flat
		}
		checkKargs(n, found)
		flat = join(flat, n.Fields)
		i := slices.IndexFunc(flat, func(f document.Field) bool { return f.Key == "include" })
		if i < 0 {
			return flat
		}
		include := flat[i].Value
		flat = slices.Delete(flat, i, i+1)
		if _, ok := include.AsString(found); !ok {
			return flat
		}
		pos = include.Pos
		path = filepath.Join(filepath.Dir(path), include.Text)
		if filepath.IsAbs(include.Text) {
			path = filepath.Clean(include.Text)
		}
	}
}

// readMapping reads one file; pos is the place that asks for it.
func readMapping(path string, pos diag.Pos, found *diag.List) (document.Node, bool) {
	n, err := document.Load(path)
	if findings := diag.Findings(err); findings != nil {
		found.Findings = append(found.Findings, findings...)
		return n, n.Kind == document.Map
	}
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	}
	switch {
	case err != nil && pos.Line > 0:
		found.Addf(pos, "include: file %q: %v", path, err)
		return n, false
	case err != nil:
		found.Addf(pos, "%v", err)
		return n, false
	case n.Kind == document.Null:
		found.Addf(diag.Pos{File: path, Line: 1, Column: 1}, "the file is empty; it must be a mapping")
		return n, false
	}
	return n, n.Expect(found, document.Map)
}

// checkKargs looks at each file by itself: joined, a value that is not a list
// would hide behind the one that is.
func checkKargs(n document.Node, found *diag.List) {
	if kargs, ok := n.Get("extra-kargs"); ok {
		kargs.AsStrings(found)
	}
}

// join adds the fields of an included mapping to those of the including one.
func join(outer, inner []document.Field) []document.Field {
	joined := slices.Clone(outer)
	for _, in := range inner {
		i := slices.IndexFunc(joined, func(f document.Field) bool { return f.Key == in.Key })
		if i < 0 {
			in.Value = unique(in.Value, in.Key)
			joined = append(joined, in)
			continue
		}
		joined[i].Value = joinValues(joined[i].Value, in.Value)
	}
	return joined
}

func joinValues(outer, inner document.Node) document.Node {
	switch {
	case outer.Kind == document.Map && inner.Kind == document.Map:
		outer.Fields = join(outer.Fields, inner.Fields)
	case outer.Kind == document.List && inner.Kind == document.List:
		outer.Items = appendNew(slices.Clone(outer.Items), inner.Items)
	}
	return outer
}

// unique drops repeated kernel arguments even within one file.
func unique(n document.Node, key string) document.Node {
	if key == "extra-kargs" && n.Kind == document.List {
		n.Items = appendNew(nil, n.Items)
	}
	return n
}

func appendNew(items, more []document.Node) []document.Node {
	seen := make(map[string]bool, len(items)+len(more))
	for _, item := range items {
		seen[identity(item)] = true
	}
	for _, item := range more {
		if id := identity(item); !seen[id] {
			seen[id] = true
			items = append(items, item)
		}
	}
	return items
}

// identity is equal for equal values.
func identity(n document.Node) string { return fmt.Sprintf("%d %#v", n.Kind, n.Any()) }
