package ostreerepo

import (
	"fmt"
	"path"
)

// Entry is one path in a commit.
type Entry struct {
	Path     string   // absolute: "/usr/bin/sh"; the root is "/"
	Dir      bool     // a directory; else a file or symbolic link
	Checksum Checksum // of the content object, or of the dirtree
	Meta     Checksum // of the dirmeta; zero for what is not a directory
	// Header of the path. A directory has neither size nor target.
	Header
}

// Tree is where Walk gets the metadata from: a Repo, or objects in memory.
type Tree interface {
	Dirtree(Checksum) (*Dirtree, error)
	Dirmeta(Checksum) (*Dirmeta, error)
	// Header is asked once for each path that is not a directory.
	Header(Checksum) (*Header, error)
}

// Walk visits all paths of the commit: a directory first, then its files, then
// its directories, each sorted by name. It ends with the first error that visit
// returns.
func (r *Repo) Walk(c *Commit, visit func(Entry) error) error { return Walk(r, c, visit) }

// maxPathDepth bounds the recursion for trees that are not to be trusted.
const maxPathDepth = 512

// Walk does as Repo.Walk for any Tree.
func Walk(t Tree, c *Commit, visit func(Entry) error) error {
	return walkDir(t, "/", c.Tree, c.Meta, 0, visit)
}

func walkDir(t Tree, dir string, tree, meta Checksum, depth int, visit func(Entry) error) error {
	if depth > maxPathDepth {
		return fmt.Errorf("%.64s...: directories are nested too deeply", dir)
	}
	m, err := t.Dirmeta(meta)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	content, err := t.Dirtree(tree)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	entry := Entry{Path: dir, Dir: true, Checksum: tree, Meta: meta}
	entry.Header = Header{UID: m.UID, GID: m.GID, Mode: m.Mode, Xattrs: m.Xattrs}
	if err := visit(entry); err != nil {
		return err
	}
	for _, file := range content.Files {
		h, err := t.Header(file.Checksum)
		if err != nil {
			return fmt.Errorf("%s: %w", path.Join(dir, file.Name), err)
		}
		entry := Entry{Path: path.Join(dir, file.Name), Checksum: file.Checksum, Header: *h}
		if err := visit(entry); err != nil {
			return err
		}
	}
	for _, sub := range content.Dirs {
		if err := walkDir(t, path.Join(dir, sub.Name), sub.Tree, sub.Meta, depth+1, visit); err != nil {
			return err
		}
	}
	return nil
}
