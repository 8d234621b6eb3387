// Package pullrequest talks to GitHub about pull requests: it finds the one that a
// workflow run belongs to, keeps one comment on it, and proposes changed files as a
// new one. The commits that this takes can be tagged, too.
package pullrequest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"
)

// Config says where and as whom to talk.
type Config struct {
	BaseURL string // of the API; empty is api.github.com
	Token   string
	// Repository is OWNER/NAME.
	Repository string
}

// Client talks to one repository.
type Client struct {
	gh          *github.Client
	plain       *http.Client // without the token
	owner, repo string
}

// callTime bounds a single call, artifacts being small.
const callTime = time.Minute

// New makes a client.
func New(c Config) (*Client, error) {
	owner, repo, _ := strings.Cut(c.Repository, "/")
	if owner == "" || repo == "" || strings.Contains(repo, "/") {
		return nil, fmt.Errorf("repository %q: write OWNER/NAME", c.Repository)
	}
	if c.Token == "" {
		return nil, errors.New("no token given; in a workflow, github.token is one")
	}
	patient := &http.Client{Timeout: callTime, Transport: again{http.DefaultTransport}}
	gh := github.NewClient(patient).WithAuthToken(c.Token)
	gh.UserAgent = "nosa-actions"
	if c.BaseURL != "" {
		base, err := url.Parse(strings.TrimSuffix(c.BaseURL, "/") + "/")
		if err != nil || base.Host == "" {
			return nil, fmt.Errorf("API address %q: expected https://HOST/PATH", c.BaseURL)
		}
		gh.BaseURL = base
	}
	return &Client{gh: gh, plain: patient, owner: owner, repo: repo}, nil
}

// again repeats reading calls that failed on the way or on GitHub's side. Writing
// ones are not repeated: they may have had their effect.
type again struct{ next http.RoundTripper }

const (
	attempts  = 4
	firstWait = 500 * time.Millisecond
)

// RoundTrip implements http.RoundTripper.
func (a again) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		return a.next.RoundTrip(r)
	}
	wait := firstWait
	for n := 1; ; n++ {
		answer, err := a.next.RoundTrip(r)
		if n == attempts || err == nil && answer.StatusCode < 500 {
			return answer, err
		}
		if err == nil {
			_ = answer.Body.Close()
		}
		select {
		case <-r.Context().Done():
			return nil, context.Cause(r.Context())
		case <-time.After(wait):
			wait *= 2
		}
	}
}

// status is the HTTP status that an error of a call stands for, or 0.
func status(err error) int {
	if e, ok := errors.AsType[*github.ErrorResponse](err); ok && e.Response != nil {
		return e.Response.StatusCode
	}
	return 0
}

// denied adds to an error what right was missing.
func denied(err error, permission string) error {
	if s := status(err); s == http.StatusForbidden || s == http.StatusUnauthorized {
		return fmt.Errorf("%w; the job needs permissions: %s", err, permission)
	}
	return err
}

// pages calls each page of a listing until there is no other, or most pages.
func pages(most int, list func(github.ListOptions) (*github.Response, error)) error {
	o := github.ListOptions{PerPage: 100}
	for range most {
		answer, err := list(o)
		if err != nil {
			return err
		}
		if answer.NextPage == 0 {
			return nil
		}
		o.Page = answer.NextPage
	}
	return nil
}
