package ostreerepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sync/errgroup"
)

// Object names an object of a repository.
type Object struct {
	Kind     Kind
	Checksum Checksum
}

// Objects lists what a commit is made of, each object once, without the commit
// itself and its detached metadata. Parents are not followed.
func (r *Repo) Objects(c *Commit) ([]Object, error) {
	var list []Object
	seen := map[Object]bool{}
	add := func(kind Kind, sum Checksum) (isNew bool) {
		o := Object{kind, sum}
		if isNew = !seen[o]; isNew {
			seen[o] = true
			list = append(list, o)
		}
		return isNew
	}
	var walk func(tree, meta Checksum, depth int) error
	walk = func(tree, meta Checksum, depth int) error {
		if depth > maxPathDepth {
			return errors.New("directories are nested too deeply")
		}
		add(KindDirmeta, meta)
		if !add(KindDirtree, tree) {
			return nil
		}
		content, err := r.Dirtree(tree)
		if err != nil {
			return err
		}
		for _, file := range content.Files {
			add(KindFile, file.Checksum)
		}
		for _, dir := range content.Dirs {
			if err := walk(dir.Tree, dir.Meta, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return list, walk(c.Tree, c.Meta, 0)
}

// CanLink tells whether LinkCommit from another repository may succeed: both are
// bare and on one file system.
func (r *Repo) CanLink(from *Repo) bool {
	return r.mode == ModeBare && from.mode == ModeBare && sameDevice(r.dir, from.dir)
}

// LinkCommit adds a commit of another repository, which both must be CanLink, by
// hard links: the objects are trusted, and shared from then on. The commit itself
// comes last. An object with more names than the file system allows is
// unix.EMLINK. jobs objects are linked at once.
func (w *Writer) LinkCommit(ctx context.Context, from *Repo, sum Checksum, jobs int) error {
	c, err := from.Commit(sum)
	if err != nil {
		return err
	}
	objects, err := from.Objects(c)
	if err != nil {
		return fmt.Errorf("commit %s: %w", sum, err)
	}
	group, each := errgroup.WithContext(ctx)
	for i := range jobs {
		group.Go(func() error {
			for at := i; at < len(objects); at += jobs {
				if each.Err() != nil {
					return context.Cause(each)
				}
				if err := w.link(from, objects[at].Kind, objects[at].Checksum); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := w.link(from, KindCommitMeta, sum); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return w.link(from, KindCommit, sum)
}

// link adds one object.
func (w *Writer) link(from *Repo, kind Kind, sum Checksum) error {
	err := link(from.path(kind, sum), w.repo.path(kind, sum))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
