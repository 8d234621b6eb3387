// Package githubtest stands in for GitHub's API in tests, as far as releases, pull
// requests and artifacts go: a server that
// keeps state and GitHub's rules, holds every request and answer against GitHub's
// own OpenAPI description, and fails in the ways GitHub fails.
//
// Where the description is missing (see description.go) it serves all the same,
// without that check.
package githubtest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Token is the one token the server takes.
const Token = "github-test-token"

// Options is the repository served. The zero value is "nestos/demo" with the tag
// v1, on a server without delay.
type Options struct {
	Owner, Repo string
	Tags        []string // default: v1
	// Immutable makes releases immutable when they are published.
	Immutable bool
	// ReadOnly is a token without "contents: write".
	ReadOnly bool
	// NoPulls is a repository whose actions may not open pull requests.
	NoPulls bool
	// NoDigest is a server that tells no checksums of assets.
	NoDigest bool
	// Latency delays every answer.
	Latency time.Duration
	// Lag is how long listings show what was before.
	Lag time.Duration
	// Check is asked after each change what is wrong with the releases there are.
	Check func([]Release) error
	// Serve, unless nil, replaces the plain HTTP server, as by one with TLS.
	Serve func(http.Handler) *httptest.Server
}

// Release is a release as the server has it.
type Release struct {
	ID                int64
	Tag, Target       string
	Name, Body        string
	Draft, Prerelease bool
	Immutable, Latest bool
	Created           time.Time
	Published         time.Time
	Assets            []Asset
}

// Asset is a release asset as the server has it. Content is kept of small ones.
type Asset struct {
	ID          int64
	Name        string
	Label       string
	State       string // "uploaded" or "starter"
	ContentType string
	Size        int64
	SHA256      string
	Content     []byte
	Created     time.Time
}

// Server is the running server.
type Server struct {
	// URL is the API's address, as in GITHUB_API_URL.
	URL string

	t       testing.TB
	options Options
	http    *httptest.Server
	spec    *description

	mu       sync.Mutex
	releases []Release
	tags     map[string]string // to the commit
	burnt    map[string]bool   // tags of immutable releases

	pulls     []Pull
	comments  []Comment
	artifacts []Artifact
	heads     map[string]string            // branches to commits
	commits   map[string]Commit            // by SHA
	trees     map[string]map[string]string // by SHA
	past      []snapshot
	lastID    int64
	calls     []Call
	fault     func(Call) *Fault
}

type snapshot struct {
	until    time.Time // it was so until then
	releases []Release
}

// New starts a server that ends with the test.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Owner == "" {
		o.Owner, o.Repo = "nestos", "demo"
	}
	if o.Tags == nil {
		o.Tags = []string{"v1"}
	}
	s := &Server{t: t, options: o, tags: map[string]string{}, burnt: map[string]bool{}, lastID: 1000}
	s.heads, s.commits, s.trees = map[string]string{}, map[string]Commit{}, map[string]map[string]string{}
	for _, tag := range o.Tags {
		s.tags[tag] = strings.Repeat("a", 40)
	}
	s.spec = loadDescription(t)
	serve := o.Serve
	if serve == nil {
		serve = httptest.NewServer
	}
	s.http = serve(s.handler())
	s.http.Config.ErrorLog = nil
	t.Cleanup(s.http.Close)
	s.URL = s.http.URL
	return s
}

// Fail has fault decide for each call whether and how it fails; nil is no fault.
func (s *Server) Fail(fault func(Call) *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// Calls lists the calls so far.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Forget empties the list of calls.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}

// Releases lists the releases, drafts among them, oldest first.
func (s *Server) Releases() []Release {
	s.mu.Lock()
	defer s.mu.Unlock()
	return clone(s.releases)
}

// Add puts a release there, as if made before; it gets an ID and so do its assets.
func (s *Server) Add(r Release) Release {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.ID, r.Created = s.nextID(), time.Now()
	if !r.Draft {
		r.Published = r.Created
	}
	r.Assets = slices.Clone(r.Assets)
	for i := range r.Assets {
		r.Assets[i].ID, r.Assets[i].Created = s.nextID(), r.Created
	}
	s.releases = append(s.releases, r)
	return r
}

// DeleteTag removes a tag from the repository.
func (s *Server) DeleteTag(tag string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tags, tag)
}

func clone(releases []Release) []Release {
	out := slices.Clone(releases)
	for i := range out {
		out[i].Assets = slices.Clone(out[i].Assets)
	}
	return out
}

func (s *Server) nextID() int64 {
	s.lastID++
	return s.lastID
}

// change does something to the releases; the lock is held.
func (s *Server) change(do func()) {
	if s.options.Lag > 0 {
		now := time.Now()
		s.past = append(s.past, snapshot{until: now, releases: clone(s.releases)})
		s.past = slices.DeleteFunc(s.past, func(p snapshot) bool { return now.Sub(p.until) > 2*s.options.Lag })
	}
	do()
	if s.options.Check != nil {
		if err := s.options.Check(clone(s.releases)); err != nil {
			s.t.Errorf("githubtest: %v", err)
		}
	}
}

// listed is the releases as a listing shows them; the lock is held.
func (s *Server) listed() []Release {
	then := time.Now().Add(-s.options.Lag)
	for _, p := range s.past {
		if p.until.After(then) {
			return p.releases
		}
	}
	return s.releases
}

// release finds one by ID; the lock is held.
func (s *Server) release(id int64) *Release {
	for i := range s.releases {
		if s.releases[i].ID == id {
			return &s.releases[i]
		}
	}
	return nil
}

// asset finds one by ID; the lock is held.
func (s *Server) asset(id int64) (*Release, *Asset) {
	for i := range s.releases {
		for j := range s.releases[i].Assets {
			if s.releases[i].Assets[j].ID == id {
				return &s.releases[i], &s.releases[i].Assets[j]
			}
		}
	}
	return nil, nil
}

func (s *Server) repo() string { return fmt.Sprintf("/repos/%s/%s", s.options.Owner, s.options.Repo) }

// Delete removes a release, as a person would.
func (s *Server) Delete(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releases = slices.DeleteFunc(s.releases, func(r Release) bool { return r.ID == id })
}
