package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
)

// maxDepth is the number of files that may stand between the treefile and what
// it includes, the latter counted.
const maxDepth = 50

// loader flattens one treefile. Variables grow while it descends, the outermost
// definition of a name staying; see spec 1.1 in the order of the steps.
type loader struct {
	arch    arch.Arch
	found   diag.List
	visited map[fileID]string
	vars    map[string]document.Node
	partial bool // a file could not be read, so what is missing may be in there
}

// fileID tells files apart whatever path leads to them.
type fileID struct{ dev, ino uint64 }

func newLoader(a arch.Arch) *loader {
	return &loader{
		arch:    a,
		visited: map[fileID]string{},
		vars:    map[string]document.Node{"basearch": {Kind: document.String, Text: a.RPM}},
	}
}

// include reads and flattens a file that a node names.
func (l *loader) include(name document.Node, depth int) tree {
	path := beside(name)
	if depth > maxDepth {
		l.partial = true
		name.Reject(&l.found, fmt.Sprintf("%s is more than %d includes deep", path, maxDepth), "")
		return tree{}
	}
	t, err := l.file(path, depth)
	if err != nil {
		l.partial = true
		name.Reject(&l.found, fmt.Sprintf("file %q: %v", name.Text, err), "")
	}
	return t
}

// file reads and flattens one file. The error says why it cannot be read; what
// is wrong in it is among the findings.
func (l *loader) file(path string, depth int) (tree, error) {
	if err := l.visit(path); err != nil {
		return tree{}, err
	}
	n, err := document.Load(path)
	if findings := diag.Findings(err); findings != nil {
		l.partial = true
		l.found.Findings = append(l.found.Findings, findings...)
		if n.Kind == document.Null {
			return tree{}, nil
		}
	} else if err != nil {
		return tree{}, reason(err)
	}
	if n.Kind == document.Null {
		l.partial = true
		l.found.Addf(diag.Pos{File: path, Line: 1, Column: 1}, "the treefile is empty; it must be a mapping")
		return tree{}, nil
	}
	return l.flatten(n, !document.IsJSON(path), depth), nil
}

// visit refuses a file that was read before, whether the includes form a loop
// or only meet again: merging it twice would double its lists.
func (l *loader) visit(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return reason(err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	id := fileID{uint64(stat.Dev), stat.Ino}
	if first, seen := l.visited[id]; seen {
		return fmt.Errorf("the file was already included as %s; a file may be reached only once", first)
	}
	l.visited[id] = path
	return nil
}

// flatten turns one treefile, a file's or an inline one, into a tree that holds
// all it includes.
func (l *loader) flatten(n document.Node, strict bool, depth int) tree {
	raw := l.parse(n, strict)
	l.define(raw)
	t := raw.tree
	l.imply(t)
	includes := slices.Concat(fileNames(raw.include, &l.found), l.archIncludes(raw.archInclude))
	for _, c := range l.conditional(raw.conditional) {
		if c.Kind == document.Map {
			t = merge(t, l.inline(c, strict, depth))
			continue
		}
		includes = append(includes, fileNames(c, &l.found)...)
	}
	for _, name := range includes {
		t = merge(t, l.include(name, depth+1))
	}
	return t
}

func (l *loader) inline(n document.Node, strict bool, depth int) tree {
	if depth+1 > maxDepth {
		n.Reject(&l.found, fmt.Sprintf("is more than %d includes deep", maxDepth), "")
		return tree{}
	}
	return l.flatten(n, strict, depth+1)
}

// beside is the path of a file that a node names relative to the file in which
// the node stands.
func beside(n document.Node) string {
	if filepath.IsAbs(n.Text) {
		return filepath.Clean(n.Text)
	}
	return filepath.Join(filepath.Dir(n.Pos.File), n.Text)
}

// fileNames takes a file name or a list of them.
func fileNames(n document.Node, found *diag.List) []document.Node {
	switch {
	case n.Kind == document.Null:
		return nil
	case n.Kind == document.String:
		return []document.Node{n}
	case !n.Expect(found, document.String, document.List):
		return nil
	}
	if _, ok := n.AsStrings(found); !ok {
		return nil
	}
	return n.Items
}

// archIncludes checks the file names of all architectures and returns ours.
func (l *loader) archIncludes(n document.Node) []document.Node {
	if n.Kind == document.Null || !n.Expect(&l.found, document.Map) {
		return nil
	}
	var ours []document.Node
	for _, f := range n.Fields {
		l.warnArch(f.Pos, f.Value.Path, f.Key)
		names := fileNames(f.Value, &l.found)
		if f.Key == l.arch.RPM {
			ours = names
		}
	}
	return ours
}

// architectures are those that treefiles of the field name, which is more than
// we build for.
var architectures = []string{"x86_64", "aarch64", "ppc64le", "s390x", "riscv64", "loongarch64", "i686", "armv7hl"}

func (l *loader) warnArch(pos diag.Pos, path, name string) {
	if slices.Contains(architectures, name) {
		return
	}
	f := diag.Finding{Severity: diag.Warning, Pos: pos, Message: fmt.Sprintf("%s: no architecture is called %q", path, name)}
	if near, ok := document.Nearest(name, architectures); ok {
		f.Mend = fmt.Sprintf("did you mean %q?", near)
	}
	l.found.Add(f)
}

// define adds the file's variables to those already known, which keep their
// values.
func (l *loader) define(raw source) {
	for _, v := range l.variables(raw.variables) {
		if _, known := l.vars[v.Key]; !known {
			l.vars[v.Key] = v.Value
		}
	}
	if n, ok := raw.tree["releasever"]; ok {
		if strings.ContainsAny(n.Text, "${}") {
			n.Reject(&l.found, "is a variable too, so it must not contain $, { or }", "")
		}
		if _, known := l.vars["releasever"]; !known {
			l.vars["releasever"] = n
		}
	}
	if n, ok := raw.tree["basearch"]; ok && n.Text != l.arch.RPM {
		n.Reject(&l.found, fmt.Sprintf("is %s, but this builds for %s; cross composes are not supported", n.Text, l.arch.RPM), "leave the key out")
	}
}

// variables checks the variables of one file.
func (l *loader) variables(n document.Node) []document.Field {
	if n.Kind == document.Null || !n.Expect(&l.found, document.Map) {
		return nil
	}
	var good []document.Field
	for _, f := range n.Fields {
		switch {
		case f.Key == "basearch" || f.Key == "releasever":
			l.found.Addf(f.Pos, "%s: the name is reserved; it is set by itself", f.Value.Path)
		case strings.ContainsAny(f.Key, "${}"):
			l.found.Addf(f.Pos, "%s: a variable's name must not contain $, { or }", f.Value.Path)
		case !f.Value.Expect(&l.found, document.String, document.Int, document.Bool):
		case strings.ContainsAny(f.Value.Text, "${}"):
			f.Value.Reject(&l.found, "a variable's value must not contain $, { or }", "")
		default:
			good = append(good, f)
		}
	}
	return good
}

// finish sorts, fills in and substitutes once everything is merged.
func (l *loader) finish(t tree) tree {
	if _, ok := t["packages"]; !ok {
		t["packages"] = document.Node{Path: "packages", Kind: document.List}
	}
	for _, key := range []string{"packages", "ignore-removed-users", "ignore-removed-groups"} {
		if n, ok := t[key]; ok {
			n.Items = sortedSet(n.Items)
			t[key] = n
		}
	}
	if n, ok := t["repo-packages"]; ok {
		n.Items = lastRepoWins(n.Items)
		t["repo-packages"] = n
	}
	t["basearch"] = document.Node{Path: "basearch", Kind: document.String, Text: l.arch.RPM}
	l.substitute(t)
	return t
}
