package pullrequest

import (
	"context"
	"strings"

	"github.com/google/go-github/v60/github"
)

// Comment makes the one comment of author that begins with marker say body, and
// returns its address. Comments of others that begin so are left alone.
func (c *Client) Comment(ctx context.Context, number int, author, marker, body string) (string, error) {
	body = marker + "\n" + body
	var id int64
	err := pages(50, func(o github.ListOptions) (*github.Response, error) {
		list, answer, err := c.gh.Issues.ListComments(ctx, c.owner, c.repo, number, &github.IssueListCommentsOptions{ListOptions: o})
		for _, comment := range list {
			if comment.GetUser().GetLogin() == author && strings.HasPrefix(comment.GetBody(), marker) {
				id = comment.GetID()
			}
		}
		return answer, err
	})
	if err != nil {
		return "", denied(err, "pull-requests: write")
	}
	text := &github.IssueComment{Body: &body}
	var made *github.IssueComment
	if id == 0 {
		made, _, err = c.gh.Issues.CreateComment(ctx, c.owner, c.repo, number, text)
	} else {
		made, _, err = c.gh.Issues.EditComment(ctx, c.owner, c.repo, id, text)
	}
	return made.GetHTMLURL(), denied(err, "pull-requests: write")
}
