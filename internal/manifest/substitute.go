package manifest

import (
	"regexp"
	"slices"

	"github.com/nestos/nosa-actions/internal/format/document"
)

var reference = regexp.MustCompile(`\$\{([^${}]*)\}`)

// substitute replaces ${name} in the few fields where the format has it. An
// unknown name stays as it is.
func (l *loader) substitute(t tree) {
	for _, key := range []string{"ref", "automatic-version-prefix", "mutate-os-release", "platform-module"} {
		if n, ok := t[key]; ok {
			t[key] = l.expand(n)
		}
	}
	for _, key := range []string{"rojig", "metadata", "add-commit-metadata"} {
		n, ok := t[key]
		if !ok {
			continue
		}
		n.Fields = slices.Clone(n.Fields)
		for i, f := range n.Fields {
			if key != "rojig" || f.Key != "license" {
				n.Fields[i].Value = l.expand(f.Value)
			}
		}
		t[key] = n
	}
}

// expand replaces in strings; a value of another kind has nothing to replace.
func (l *loader) expand(n document.Node) document.Node {
	if n.Kind != document.String {
		return n
	}
	n.Text = reference.ReplaceAllStringFunc(n.Text, func(ref string) string {
		if v, ok := l.vars[ref[2:len(ref)-1]]; ok {
			return v.Text
		}
		return ref
	})
	return n
}
