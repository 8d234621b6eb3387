package manifest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
)

// shape checks one value and brings it into its usual form. When it does not
// fit, the findings say why and the result is false.
type shape func(document.Node, *diag.List) (document.Node, bool)

func text(n document.Node, found *diag.List) (document.Node, bool) {
	return n, n.Expect(found, document.String)
}

func boolean(n document.Node, found *diag.List) (document.Node, bool) {
	return n, n.Expect(found, document.Bool)
}

func textOrInteger(n document.Node, found *diag.List) (document.Node, bool) {
	return n, n.Expect(found, document.String, document.Int)
}

func texts(n document.Node, found *diag.List) (document.Node, bool) {
	_, ok := n.AsStrings(found)
	return n, ok
}

func freeMap(n document.Node, found *diag.List) (document.Node, bool) {
	return n, n.Expect(found, document.Map)
}

// oneOf accepts the strings of an enumeration.
func oneOf(values ...string) shape {
	return func(n document.Node, found *diag.List) (document.Node, bool) {
		if !n.Expect(found, document.String) {
			return n, false
		}
		if slices.Contains(values, n.Text) {
			return n, true
		}
		message := fmt.Sprintf("%q is not one of %s", n.Text, strings.Join(values, ", "))
		mend := ""
		if near, ok := document.Nearest(n.Text, values); ok {
			mend = fmt.Sprintf("did you mean %q?", near)
		}
		n.Reject(found, message, mend)
		return n, false
	}
}

func singleASCII(n document.Node, found *diag.List) (document.Node, bool) {
	if !n.Expect(found, document.String) {
		return n, false
	}
	if len(n.Text) != 1 || n.Text[0] > 127 {
		n.Reject(found, fmt.Sprintf("must be exactly one ASCII character, not %q", n.Text), "")
		return n, false
	}
	return n, true
}

func labelVersion(n document.Node, found *diag.List) (document.Node, bool) {
	v, ok := n.AsInt(found)
	if ok && v != 0 && v != 1 {
		n.Reject(found, fmt.Sprintf("must be 0 or 1, not %d", v), "")
		ok = false
	}
	return n, ok
}

// packageList splits every item at blanks, except between single quotes, which
// relations such as 'podman >= 4.1' need.
func packageList(n document.Node, found *diag.List) (document.Node, bool) {
	if _, ok := n.AsStrings(found); !ok {
		return n, false
	}
	var items []document.Node
	for _, item := range n.Items {
		words, err := splitPackages(item.Text)
		if err != nil {
			item.Reject(found, err.Error(), "")
			continue
		}
		for _, word := range words {
			one := item
			one.Text = word
			items = append(items, one)
		}
	}
	n.Items = items
	return n, true
}

func splitPackages(s string) ([]string, error) {
	var words []string
	for i, part := range strings.Split(s, "'") {
		switch {
		case i%2 == 0:
			words = append(words, strings.Fields(part)...)
		case strings.TrimSpace(part) != "":
			words = append(words, part)
		}
	}
	if strings.Count(s, "'")%2 != 0 {
		return nil, fmt.Errorf("a single quote is not closed in %q", s)
	}
	return words, nil
}

func rojig(n document.Node, found *diag.List) (document.Node, bool) {
	if !n.KnownKeys(found, "name", "summary", "license", "description") {
		return n, false
	}
	ok := true
	for _, key := range []string{"name", "summary", "license"} {
		if v, given := n.Get(key); !given || v.Kind == document.Null {
			n.Reject(found, fmt.Sprintf("%s is required", key), "")
			ok = false
		}
	}
	for _, f := range n.Fields {
		if f.Value.Kind != document.Null {
			ok = f.Value.Expect(found, document.String) && ok
		}
	}
	return n, ok
}

// repoVars are dnf variables; the two that the treefile has keys for are not
// for it to set here.
func repoVars(n document.Node, found *diag.List) (document.Node, bool) {
	if !n.Expect(found, document.Map) {
		return n, false
	}
	ok := true
	for _, f := range n.Fields {
		if f.Key == "releasever" || f.Key == "basearch" {
			found.Addf(f.Pos, "%s: the name is reserved; set the key %s instead", f.Value.Path, f.Key)
			ok = false
			continue
		}
		ok = f.Value.Expect(found, document.String) && ok
	}
	return n, ok
}

func repoPackages(n document.Node, found *diag.List) (document.Node, bool) {
	if !n.Expect(found, document.List) {
		return n, false
	}
	ok := true
	items := slices.Clone(n.Items)
	for i, entry := range items {
		if !entry.KnownKeys(found, "repo", "packages") {
			ok = false
			continue
		}
		repo, hasRepo := entry.Get("repo")
		packages, hasPackages := entry.Get("packages")
		if !hasRepo || !hasPackages {
			entry.Reject(found, "must have both repo and packages", "")
			ok = false
			continue
		}
		packages, fits := packageList(packages, found)
		ok = repo.Expect(found, document.String) && fits && ok
		items[i].Fields = []document.Field{
			{Key: "repo", Pos: repo.Pos, Value: repo},
			{Key: "packages", Pos: packages.Pos, Value: packages},
		}
	}
	n.Items = items
	return n, ok
}
