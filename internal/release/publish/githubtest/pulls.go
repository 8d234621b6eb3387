package githubtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Pull is a pull request as the server has it.
type Pull struct {
	Number      int
	Open        bool
	Title, Body string
	HeadRepo    string // OWNER/NAME
	HeadRef     string
	HeadSHA     string
	BaseRef     string
}

// Comment is a comment on a pull request.
type Comment struct {
	ID    int64
	Pull  int
	Login string // of its author
	Body  string
}

// Artifact is one of a workflow run.
type Artifact struct {
	ID, Run int64
	Name    string
	Data    []byte // the archive
	Size    int64  // what the listing says; 0: of Data
	Expired bool
}

// Bot is the author of what is written with Token.
const Bot = "github-actions[bot]"

// AddPull puts a pull request there.
func (s *Server) AddPull(p Pull) Pull {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.Number, p.Open = len(s.pulls)+1, true
	s.pulls = append(s.pulls, p)
	return p
}

// Pulls lists the pull requests.
func (s *Server) Pulls() []Pull {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.pulls)
}

// AddComment puts a comment there.
func (s *Server) AddComment(c Comment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.ID = s.nextID()
	s.comments = append(s.comments, c)
}

// Comments lists the comments.
func (s *Server) Comments() []Comment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.comments)
}

// AddArtifact puts an artifact there.
func (s *Server) AddArtifact(a Artifact) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.ID = s.nextID()
	s.artifacts = append(s.artifacts, a)
}

// example is GitHub's own example of an answer, changed.
func (d *description) example(s *Server, name string, change m) m {
	value := m{}
	if d.doc != nil {
		data, err := json.Marshal(d.doc.Components.Examples[name].Value.Value)
		if err == nil && strings.HasPrefix(string(data), "[") {
			var items []json.RawMessage
			if err = json.Unmarshal(data, &items); err == nil {
				data = items[0]
			}
		}
		if err == nil {
			err = json.Unmarshal(data, &value)
		}
		if err != nil {
			s.t.Errorf("githubtest: example %s: %v", name, err)
		}
	}
	merge(value, change)
	return value
}

func merge(to, change m) {
	for key, value := range change {
		inner, ok := value.(m)
		if old, isMap := to[key].(m); ok && isMap {
			merge(old, inner)
			continue
		}
		to[key] = value
	}
}

func (s *Server) renderPull(example string, p Pull) m {
	state := "closed"
	if p.Open {
		state = "open"
	}
	owner, _, _ := strings.Cut(p.HeadRepo, "/")
	return s.spec.example(s, example, m{
		"number": p.Number, "state": state, "title": p.Title, "body": p.Body,
		"html_url": fmt.Sprintf("https://github.com/%s/%s/pull/%d", s.options.Owner, s.options.Repo, p.Number),
		"head":     m{"ref": p.HeadRef, "sha": p.HeadSHA, "label": owner + ":" + p.HeadRef, "user": m{"login": owner}, "repo": m{"full_name": p.HeadRepo}},
		"base":     m{"ref": p.BaseRef},
		// Those of the example lack what the schema wants.
		"requested_teams": []any{},
	})
}

func (s *Server) listPulls(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := c.r.URL.Query()
	all := []any{}
	for _, p := range s.pulls {
		owner, _, _ := strings.Cut(p.HeadRepo, "/")
		if head := q.Get("head"); head != "" && head != owner+":"+p.HeadRef {
			continue
		}
		if base := q.Get("base"); base != "" && base != p.BaseRef {
			continue
		}
		if state := q.Get("state"); state != "all" && p.Open != (state != "closed") {
			continue
		}
		all = append(all, s.renderPull("pull-request-simple-items", p))
	}
	return s.page(c, all)
}

func (s *Server) createPull(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in struct{ Title, Body, Head, Base string }
	if !decode(c, &in) {
		return problem(http.StatusBadRequest, "Problems parsing JSON")
	}
	if s.options.NoPulls {
		return problem(http.StatusForbidden, "GitHub Actions is not permitted to create or approve pull requests.")
	}
	sha, ok := s.heads[in.Head]
	if !ok {
		return invalid(m{"resource": "PullRequest", "field": "head", "code": "invalid"})
	}
	if slices.ContainsFunc(s.pulls, func(p Pull) bool { return p.Open && p.HeadRef == in.Head && p.BaseRef == in.Base }) {
		return invalid(m{"resource": "PullRequest", "code": "custom", "message": "A pull request already exists for " + in.Head})
	}
	p := Pull{
		Number: len(s.pulls) + 1, Open: true, Title: in.Title, Body: in.Body,
		HeadRepo: s.options.Owner + "/" + s.options.Repo, HeadRef: in.Head, HeadSHA: sha, BaseRef: in.Base,
	}
	s.pulls = append(s.pulls, p)
	return answer{status: http.StatusCreated, body: s.renderPull("pull-request", p)}
}

func (s *Server) updatePull(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in struct{ Title, Body, State *string }
	n, _ := strconv.Atoi(c.r.PathValue("pull_number"))
	if n < 1 || n > len(s.pulls) {
		return problem(http.StatusNotFound, "Not Found")
	}
	if !decode(c, &in) {
		return problem(http.StatusBadRequest, "Problems parsing JSON")
	}
	p := &s.pulls[n-1]
	set(&p.Title, in.Title)
	set(&p.Body, in.Body)
	if in.State != nil {
		p.Open = *in.State == "open"
	}
	return answer{status: http.StatusOK, body: s.renderPull("pull-request", *p)}
}

func (s *Server) renderComment(example string, c Comment) m {
	kind := "User"
	if strings.HasSuffix(c.Login, "[bot]") {
		kind = "Bot"
	}
	return s.spec.example(s, example, m{
		"id": c.ID, "body": c.Body, "user": m{"login": c.Login, "type": kind},
		"html_url": fmt.Sprintf("https://github.com/%s/%s/pull/%d#issuecomment-%d", s.options.Owner, s.options.Repo, c.Pull, c.ID),
	})
}

func (s *Server) listComments(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []any{}
	for _, comment := range s.comments {
		if strconv.Itoa(comment.Pull) == c.r.PathValue("issue_number") {
			all = append(all, s.renderComment("issue-comment-items", comment))
		}
	}
	return s.page(c, all)
}

func (s *Server) createComment(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in struct{ Body string }
	n, _ := strconv.Atoi(c.r.PathValue("issue_number"))
	if n < 1 || n > len(s.pulls) {
		return problem(http.StatusNotFound, "Not Found")
	}
	if !decode(c, &in) || in.Body == "" || len([]rune(in.Body)) > 65536 {
		return invalid(m{"resource": "IssueComment", "field": "body", "code": "custom", "message": "Body is too long (maximum is 65536 characters)"})
	}
	comment := Comment{ID: s.nextID(), Pull: n, Login: Bot, Body: in.Body}
	s.comments = append(s.comments, comment)
	return answer{status: http.StatusCreated, body: s.renderComment("issue-comment", comment)}
}

func (s *Server) updateComment(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in struct{ Body string }
	i := slices.IndexFunc(s.comments, func(x Comment) bool { return fmt.Sprint(x.ID) == c.r.PathValue("comment_id") })
	if i < 0 {
		return problem(http.StatusNotFound, "Not Found")
	}
	if !decode(c, &in) || in.Body == "" || len([]rune(in.Body)) > 65536 {
		return invalid(m{"resource": "IssueComment", "field": "body", "code": "custom", "message": "Body is too long (maximum is 65536 characters)"})
	}
	s.comments[i].Body = in.Body
	return answer{status: http.StatusOK, body: s.renderComment("issue-comment", s.comments[i])}
}

func (s *Server) listArtifacts(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []any{}
	for _, a := range slices.Backward(s.artifacts) {
		name := c.r.URL.Query().Get("name")
		if fmt.Sprint(a.Run) != c.r.PathValue("run_id") || name != "" && name != a.Name {
			continue
		}
		size := a.Size
		if size == 0 {
			size = int64(len(a.Data))
		}
		all = append(all, m{
			"id": a.ID, "node_id": "A_1", "name": a.Name, "size_in_bytes": size, "expired": a.Expired,
			"url":                  fmt.Sprintf("%s%s/actions/artifacts/%d", s.URL, s.repo(), a.ID),
			"archive_download_url": fmt.Sprintf("%s%s/actions/artifacts/%d/zip", s.URL, s.repo(), a.ID),
			"created_at":           "2025-01-14T08:00:00Z", "updated_at": "2025-01-14T08:00:00Z", "expires_at": "2025-04-14T08:00:00Z",
		})
	}
	a := s.page(c, all)
	a.body = m{"total_count": len(all), "artifacts": a.body}
	return a
}

// getArtifact sends the client to a store that wants no token, as GitHub does.
func (s *Server) getArtifact(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.artifacts, func(a Artifact) bool { return fmt.Sprint(a.ID) == c.r.PathValue("artifact_id") })
	switch {
	case i < 0:
		return problem(http.StatusNotFound, "Not Found")
	case s.artifacts[i].Expired:
		return problem(http.StatusGone, "Artifact has expired")
	}
	return answer{status: http.StatusFound, header: http.Header{"Location": {fmt.Sprintf("%s/artifact/%d", s.URL, s.artifacts[i].ID)}}}
}

func (s *Server) artifactStore(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" {
		s.t.Errorf("githubtest: the token was sent to the store of artifacts")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.artifacts {
		if fmt.Sprint(a.ID) == r.PathValue("id") {
			w.Header().Set("Content-Type", "application/zip")
			_, _ = w.Write(a.Data)
			return
		}
	}
	http.NotFound(w, r)
}
