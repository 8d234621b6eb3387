package manifest

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
)

// External is a file beside the treefile that mentions it.
type External struct {
	Name string // as written, relative to the treefile that mentions it
	Path string // absolute
	Pos  diag.Pos
}

// Read returns the file's content.
func (e External) Read() ([]byte, error) { return os.ReadFile(e.Path) }

// AddFile is a file to copy into the tree with its mode.
type AddFile struct {
	Source External
	Dest   string // relative, /etc as usr/etc
}

// RemoveFromPackage drops files of one package from the tree: those in whose
// absolute path, /etc as /usr/etc, one of the patterns is found.
type RemoveFromPackage struct {
	Package  string
	Patterns []*regexp.Regexp
	Pos      diag.Pos
}

// external finds the file that a node names.
func external(n document.Node, found *diag.List) (External, bool) {
	abs, err := filepath.Abs(beside(n))
	if err != nil {
		n.Reject(found, err.Error(), "")
		return External{}, false
	}
	e := External{Name: n.Text, Path: abs, Pos: n.Pos}
	info, err := os.Stat(abs)
	switch {
	case err != nil:
		n.Reject(found, fmt.Sprintf("file %q: %v", n.Text, reason(err)), "")
	case !info.Mode().IsRegular():
		n.Reject(found, fmt.Sprintf("%q is not a regular file", n.Text), "")
	default:
		return e, true
	}
	return e, false
}

// executable is the file name of a script that can be run.
func executable(n document.Node, found *diag.List) (document.Node, bool) {
	if !n.Expect(found, document.String) {
		return n, false
	}
	e, ok := external(n, found)
	if !ok {
		return n, false
	}
	if info, err := os.Stat(e.Path); err != nil || info.Mode()&0o111 == 0 {
		n.Reject(found, fmt.Sprintf("%q is not executable", n.Text), "run chmod +x on it")
		return n, false
	}
	return n, true
}

func addFiles(n document.Node, found *diag.List) (document.Node, bool) {
	return n, each(n, found, func(entry document.Node) bool {
		pair, ok := entry.AsStrings(found)
		if !ok {
			return false
		}
		if len(pair) != 2 {
			entry.Reject(found, "must be two strings, a source and a destination", "")
			return false
		}
		if _, ok := destination(pair[1]); !ok {
			entry.Items[1].Reject(found, fmt.Sprintf("destination %q must lie under usr/ (but not usr/local/), etc/, bin/, sbin/, lib/ or lib64/", pair[1]), "")
			return false
		}
		_, ok = external(entry.Items[0], found)
		return ok
	})
}

var destinationRoots = []string{"usr", "etc", "bin", "sbin", "lib", "lib64"}

// destination is where add-files puts a file in the tree, or false if it may
// not go there.
func destination(dest string) (string, bool) {
	d := strings.TrimLeft(dest, "/")
	top, rest, _ := strings.Cut(d, "/")
	if rest == "" || climbs(d) || !slices.Contains(destinationRoots, top) {
		return "", false
	}
	d = path.Clean(d)
	if d == "usr/local" || strings.HasPrefix(d, "usr/local/") {
		return "", false
	}
	if top == "etc" {
		d = "usr/" + d
	}
	return d, true
}

// climbs tells whether a path has a component "..".
func climbs(name string) bool { return slices.Contains(strings.Split(name, "/"), "..") }

func removeFiles(n document.Node, found *diag.List) (document.Node, bool) {
	return n, each(n, found, func(item document.Node) bool {
		name, ok := item.AsString(found)
		switch {
		case !ok:
			return false
		case strings.HasPrefix(name, "/"):
			item.Reject(found, fmt.Sprintf("%q must be relative", name), fmt.Sprintf("write %q", strings.TrimLeft(name, "/")))
			return false
		case climbs(name):
			item.Reject(found, fmt.Sprintf("%q must not contain ..", name), "")
			return false
		case path.Clean(name) == ".":
			item.Reject(found, fmt.Sprintf("%q would remove the whole tree", name), "")
			return false
		}
		return true
	})
}

func removeFromPackages(n document.Node, found *diag.List) (document.Node, bool) {
	return n, each(n, found, func(entry document.Node) bool {
		words, ok := entry.AsStrings(found)
		if !ok {
			return false
		}
		if len(words) < 2 {
			entry.Reject(found, "must be a package and at least one regular expression", "")
			return false
		}
		for i, word := range words[1:] {
			if _, err := regexp.Compile(word); err != nil {
				rejectPattern(entry.Items[i+1], err, found)
				ok = false
			}
		}
		return ok
	})
}

// rejectPattern says what is wrong with a regular expression.
func rejectPattern(n document.Node, err error, found *diag.List) {
	var wrong *syntax.Error
	if !errors.As(err, &wrong) {
		n.Reject(found, err.Error(), "")
		return
	}
	mend := ""
	if wrong.Code == syntax.ErrInvalidPerlOp {
		mend = "look-ahead and the like are not supported"
	}
	n.Reject(found, fmt.Sprintf("%q is not a regular expression: %s at %q", n.Text, wrong.Code, wrong.Expr), mend)
}

// each applies a check to all items of a list.
func each(n document.Node, found *diag.List, check func(document.Node) bool) bool {
	if !n.Expect(found, document.List) {
		return false
	}
	all := true
	for _, item := range n.Items {
		all = check(item) && all
	}
	return all
}
