package pullrequest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-github/v60/github"
)

// Proposal is a set of changed files for a branch.
type Proposal struct {
	Base   string // branch to change
	Commit string // of Base, which the change is made on
	Branch string // with the change; what it had before is replaced
	Title  string // of the pull request, and the commit's subject
	Body   string
	Files  map[string][]byte // text by path in the repository
}

// Proposed is what came of it.
type Proposed struct {
	URL    string
	Number int
	New    bool // the pull request was opened, not updated
	Pushed bool // the branch did not have this change yet
}

// Propose makes the branch have the change, and a pull request of it. The same
// proposal again changes nothing.
func (c *Client) Propose(ctx context.Context, p Proposal) (Proposed, error) {
	var done Proposed
	if p.Branch == p.Base {
		return done, fmt.Errorf("branch %s cannot be proposed to itself", p.Branch)
	}
	pushed, err := c.push(ctx, p)
	if err != nil {
		return done, denied(fmt.Errorf("push branch %s: %w", p.Branch, err), "contents: write")
	}
	done.Pushed = pushed
	pull, err := c.open(ctx, p.Base, p.Branch)
	if err != nil {
		return done, denied(err, "pull-requests: write")
	}
	if pull == nil {
		done.New = true
		if pull, err = c.create(ctx, p); err != nil {
			return done, err
		}
	} else if pull.GetTitle() != p.Title || pull.GetBody() != p.Body {
		if pull, _, err = c.gh.PullRequests.Edit(ctx, c.owner, c.repo, pull.GetNumber(), &github.PullRequest{Title: &p.Title, Body: &p.Body}); err != nil {
			return done, denied(err, "pull-requests: write")
		}
	}
	done.URL, done.Number = pull.GetHTMLURL(), pull.GetNumber()
	return done, nil
}

// push makes the commit, unless the branch has the same one: the same files on the
// same commit.
func (c *Client) push(ctx context.Context, p Proposal) (bool, error) {
	tree, err := c.tree(ctx, p.Commit, p.Files)
	if err != nil {
		return false, err
	}
	head, err := c.commitOf(ctx, "heads/"+p.Branch)
	if err != nil {
		return false, err
	}
	if head != nil && made(head, p.Commit, tree) {
		return false, nil
	}
	commit, err := c.commit(ctx, p.Commit, p.Title, tree)
	if err != nil {
		return false, err
	}
	return true, c.point(ctx, "refs/heads/"+p.Branch, commit, head != nil)
}

// Withdraw closes the pull request of a branch that is of no use any more, saying why,
// and returns its number, 0 if none is open. The branch stays: the next proposal
// replaces what it has.
func (c *Client) Withdraw(ctx context.Context, base, branch, why string) (int, error) {
	pull, err := c.open(ctx, base, branch)
	if err != nil || pull == nil {
		return 0, denied(err, "pull-requests: write")
	}
	number := pull.GetNumber()
	if _, _, err := c.gh.Issues.CreateComment(ctx, c.owner, c.repo, number, &github.IssueComment{Body: &why}); err != nil {
		return 0, denied(err, "pull-requests: write")
	}
	_, _, err = c.gh.PullRequests.Edit(ctx, c.owner, c.repo, number, &github.PullRequest{State: new("closed")})
	return number, denied(err, "pull-requests: write")
}

// open finds the open pull request of a branch, or nil.
func (c *Client) open(ctx context.Context, base, branch string) (*github.PullRequest, error) {
	list, _, err := c.gh.PullRequests.List(ctx, c.owner, c.repo, &github.PullRequestListOptions{
		State: "open", Head: c.owner + ":" + branch, Base: base,
	})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

func (c *Client) create(ctx context.Context, p Proposal) (*github.PullRequest, error) {
	pull, _, err := c.gh.PullRequests.Create(ctx, c.owner, c.repo, &github.NewPullRequest{
		Title: &p.Title, Body: &p.Body, Head: &p.Branch, Base: &p.Base,
	})
	if status(err) == http.StatusForbidden && strings.Contains(err.Error(), "not permitted to create") {
		return nil, errors.Join(errors.New("the settings of the repository do not let actions open pull requests; "+
			"allow it under Settings, Actions, General, Workflow permissions, or give a token of an app"), err)
	}
	return pull, denied(err, "pull-requests: write")
}
