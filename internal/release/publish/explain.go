package publish

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-github/v60/github"
)

// explain adds to GitHub's words what a person can do about them.
func (p *publisher) explain(err error) error {
	if err == nil {
		return nil
	}
	var answer *github.ErrorResponse
	if !errors.As(err, &answer) {
		return err
	}
	where := p.plan.Owner + "/" + p.plan.Repo
	switch code := answer.Response.StatusCode; {
	case code == http.StatusUnauthorized:
		return fmt.Errorf("%w: the token is wrong or has expired", err)
	case code == http.StatusForbidden && strings.Contains(answer.Message, "archived"):
		return fmt.Errorf("%w: %s is archived", err, where)
	case code == http.StatusForbidden, code == http.StatusNotFound:
		return fmt.Errorf("%w: the token may not write releases of %s; give the job \"permissions: contents: write\", or the token the permission Contents: read and write", err, where)
	case burnt(answer):
		return fmt.Errorf("%w: an immutable release had the tag %s, which can never be used again; publish under a new tag", err, p.plan.Tag)
	}
	return err
}

// burnt tells whether a tag was used up by an immutable release.
func burnt(answer *github.ErrorResponse) bool {
	for _, e := range answer.Errors {
		if strings.Contains(e.Message, "immutable release") {
			return true
		}
	}
	return strings.Contains(answer.Message, "was used by an immutable release")
}
