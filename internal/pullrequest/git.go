package pullrequest

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/go-github/v60/github"
)

// TagCommit makes a commit with changed files on parent, which no branch gets, and a
// tag of it. If the tag is there with the same commit, that is right; one of another
// is an error.
func (c *Client) TagCommit(ctx context.Context, tag, parent, message string, files map[string][]byte) (sha string, err error) {
	defer func() { err = denied(err, "contents: write") }()
	tree, err := c.tree(ctx, parent, files)
	if err != nil {
		return "", err
	}
	there, err := c.commitOf(ctx, "tags/"+tag)
	switch {
	case err != nil:
		return "", err
	case there != nil && made(there, parent, tree):
		return there.GetSHA(), nil
	case there != nil:
		return "", fmt.Errorf("tag %s is there already, as commit %s, which is not this release", tag, there.GetSHA())
	}
	if sha, err = c.commit(ctx, parent, message, tree); err != nil {
		return "", err
	}
	return sha, c.point(ctx, "refs/tags/"+tag, sha, false)
}

// MoveTag makes a tag name a commit, whatever it named before.
func (c *Client) MoveTag(ctx context.Context, tag, sha string) error {
	there, err := c.reference(ctx, "tags/"+tag)
	if err == nil && there.GetSHA() != sha {
		err = c.point(ctx, "refs/tags/"+tag, sha, there != nil)
	}
	return denied(err, "contents: write")
}

// tree makes the tree of a commit with files changed, which are text.
func (c *Client) tree(ctx context.Context, commit string, files map[string][]byte) (*github.Tree, error) {
	base, _, err := c.gh.Git.GetCommit(ctx, c.owner, c.repo, commit)
	if err != nil {
		return nil, err
	}
	var entries []*github.TreeEntry
	for path, data := range files {
		entries = append(entries, &github.TreeEntry{
			Path: github.String(path), Mode: github.String("100644"), Type: github.String("blob"), Content: github.String(string(data)),
		})
	}
	slices.SortFunc(entries, func(a, b *github.TreeEntry) int { return cmp.Compare(a.GetPath(), b.GetPath()) })
	tree, _, err := c.gh.Git.CreateTree(ctx, c.owner, c.repo, base.GetTree().GetSHA(), entries)
	return tree, err
}

// reference is what a reference names, or nil.
func (c *Client) reference(ctx context.Context, ref string) (*github.GitObject, error) {
	found, _, err := c.gh.Git.GetRef(ctx, c.owner, c.repo, ref)
	if status(err) == http.StatusNotFound {
		return nil, nil
	}
	return found.GetObject(), err
}

// commitOf is the commit that a reference names, or nil.
func (c *Client) commitOf(ctx context.Context, ref string) (*github.Commit, error) {
	object, err := c.reference(ctx, ref)
	switch {
	case err != nil || object == nil:
		return nil, err
	case object.GetType() != "commit":
		return nil, fmt.Errorf("%s names a %s, not a commit", ref, object.GetType())
	}
	commit, _, err := c.gh.Git.GetCommit(ctx, c.owner, c.repo, object.GetSHA())
	return commit, err
}

// made tells whether a commit is that of a tree on a parent.
func made(commit *github.Commit, parent string, tree *github.Tree) bool {
	return commit.GetTree().GetSHA() == tree.GetSHA() && len(commit.Parents) == 1 && commit.Parents[0].GetSHA() == parent
}

func (c *Client) commit(ctx context.Context, parent, message string, tree *github.Tree) (string, error) {
	commit, _, err := c.gh.Git.CreateCommit(ctx, c.owner, c.repo, &github.Commit{
		Message: &message, Tree: tree, Parents: []*github.Commit{{SHA: &parent}},
	}, nil)
	return commit.GetSHA(), err
}

// point makes a reference name a commit.
func (c *Client) point(ctx context.Context, ref, sha string, exists bool) error {
	to := &github.Reference{Ref: &ref, Object: &github.GitObject{SHA: &sha}}
	var err error
	if exists {
		_, _, err = c.gh.Git.UpdateRef(ctx, c.owner, c.repo, to, true)
	} else {
		_, _, err = c.gh.Git.CreateRef(ctx, c.owner, c.repo, to)
	}
	return err
}
