package rootfs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/nestos/nosa-actions/internal/diag"
)

// Reference is what the users or groups of a tree have to agree with, so that
// files that an updated system has already still belong to the same people.
type Reference struct {
	Kind     AccountKind
	Accounts []Account
	Origin   string   // where they are from, for messages: "build 12.0", a file
	Pos      diag.Pos // of the key that asks for the check; may be unknown
	Ignore   []string // names that may be missing; "*" stands for all
}

// CheckAccounts compares the users or groups of a finalized tree with a
// reference. One with another number is an error; so is a missing one, unless it
// is ignored or nothing in the tree belongs to it. Homes, shells and members are
// not compared. Notes tell what is new and what is gone without harm.
func (t *Tree) CheckAccounts(ref Reference, found *diag.List) (notes []string, err error) {
	present, err := t.accounts(ref.Kind, found)
	if err != nil {
		return nil, err
	}
	var gone []Account
	known := map[string]bool{}
	for _, want := range ref.Accounts {
		if known[want.Name] {
			continue // the first of a name counts, as for the C library
		}
		known[want.Name] = true
		have, ok := present[want.Name]
		switch {
		case ok:
			ref.compare(want, have, found)
		case !slices.Contains(ref.Ignore, "*") && !slices.Contains(ref.Ignore, want.Name):
			gone = append(gone, want)
		}
	}
	owned, err := t.owned(ref.Kind, gone)
	if err != nil {
		return nil, err
	}
	for _, a := range gone {
		if paths := owned[a.ID]; len(paths) > 0 {
			ref.reportGone(a, paths, found)
			continue
		}
		notes = append(notes, fmt.Sprintf("%s %q (%s %d in %s) is gone; no file belongs to it",
			ref.Kind.noun(), a.Name, ref.Kind.idName(), a.ID, ref.Origin))
	}
	for name, a := range present {
		if !known[name] {
			notes = append(notes, fmt.Sprintf("%s %q (%s %d) is new", ref.Kind.noun(), name, ref.Kind.idName(), a.ID))
		}
	}
	slices.Sort(notes)
	return notes, nil
}

// accounts reads the tree's own, by name. Those in /etc count as well: they are
// the ones that stay there, such as root.
func (t *Tree) accounts(kind AccountKind, found *diag.List) (map[string]Account, error) {
	byName := map[string]Account{}
	for _, dir := range []string{"usr/lib", "usr/etc"} {
		path := filepath.Join(dir, kind.File())
		text, err := os.ReadFile(filepath.Join(t.Root, path))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, a := range ParseAccounts(kind, string(text), "/"+path+" of the tree", found) {
			if _, twice := byName[a.Name]; !twice {
				byName[a.Name] = a
			}
		}
	}
	return byName, nil
}

func (r Reference) compare(want, have Account, found *diag.List) {
	differ := func(what string, old, now uint32) {
		found.Add(diag.Finding{
			Pos: r.place(want),
			Message: fmt.Sprintf("%s %q has %s %d in the tree, but %d in %s",
				r.Kind.noun(), want.Name, what, now, old, r.Origin),
			Mend: "systems that update keep their files under the old number; make the two the same",
		})
	}
	if want.ID != have.ID {
		differ(r.Kind.idName(), want.ID, have.ID)
	}
	if want.GID != nil && have.GID != nil && *want.GID != *have.GID {
		differ("gid", *want.GID, *have.GID)
	}
}

func (r Reference) reportGone(a Account, paths []string, found *diag.List) {
	first := paths[0]
	if more := len(paths) - 1; more > 0 {
		first += fmt.Sprintf(" and %d more", more)
	}
	found.Add(diag.Finding{
		Pos: r.place(a),
		Message: fmt.Sprintf("%s %q (%s %d in %s) is gone from the tree, but still owns %s",
			r.Kind.noun(), a.Name, r.Kind.idName(), a.ID, r.Origin, first),
		Mend: fmt.Sprintf("bring it back, or list it under ignore-removed-%ss", r.Kind.noun()),
	})
}

// place is that of the account in a file of the config, or else of the key.
func (r Reference) place(a Account) diag.Pos {
	if a.Pos.File != "" {
		return a.Pos
	}
	return r.Pos
}

// owned finds the files that belong to the numbers of accounts, by number.
func (t *Tree) owned(kind AccountKind, accounts []Account) (map[uint32][]string, error) {
	paths := map[uint32][]string{}
	if len(accounts) == 0 {
		return paths, nil
	}
	asked := map[uint32]bool{}
	for _, a := range accounts {
		asked[a.ID] = true
	}
	err := filepath.WalkDir(t.Root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		id := stat.Uid
		if kind == Groups {
			id = stat.Gid
		}
		if asked[id] {
			paths[id] = append(paths[id], "/"+strings.TrimPrefix(strings.TrimPrefix(path, t.Root), "/"))
		}
		return nil
	})
	return paths, err
}
