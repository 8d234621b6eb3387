package githubtest

import (
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Commit is a commit that was made through the API.
type Commit struct {
	Message string
	Parents []string
	Files   map[string]string // those of its tree that are known, by path
}

// AddBranch puts a branch with a commit there, and returns the commit's SHA.
func (s *Server) AddBranch(name string, files map[string]string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sha := s.store(Commit{Message: "begin " + name, Files: files})
	s.heads[name] = sha
	return sha
}

// AddBranchAt puts a branch there whose commit has a SHA that is known elsewhere.
func (s *Server) AddBranchAt(name, sha string, files map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store(Commit{Message: "begin " + name, Files: files})
	s.commits[sha] = Commit{Message: "begin " + name, Files: files}
	s.heads[name] = sha
}

// Branch is the commit that a branch names.
func (s *Server) Branch(name string) (Commit, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.commits[s.heads[name]]
	return c, ok
}

// store keeps a commit and its tree; the lock is held.
func (s *Server) store(c Commit) string {
	sha := digest(c)
	s.commits[sha] = c
	s.trees[digest(c.Files)] = c.Files
	return sha
}

func digest(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // of maps and strings
	}
	return fmt.Sprintf("%x", sha1.Sum(data))
}

func (s *Server) renderCommit(sha string) m {
	c := s.commits[sha]
	parents := []any{}
	for _, p := range c.Parents {
		parents = append(parents, m{"sha": p, "url": s.URL + s.repo() + "/git/commits/" + p, "html_url": "https://github.com/" + p})
	}
	person := m{"name": "GitHub", "email": "noreply@github.com", "date": "2025-01-14T08:00:00Z"}
	return m{
		"sha": sha, "node_id": "C_1", "message": c.Message, "parents": parents, "author": person, "committer": person,
		"url": s.URL + s.repo() + "/git/commits/" + sha, "html_url": "https://github.com/" + sha,
		"tree":         m{"sha": digest(c.Files), "url": s.URL + s.repo() + "/git/trees/" + digest(c.Files)},
		"verification": m{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil, "verified_at": nil},
	}
}

func (s *Server) getCommit(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	sha := c.r.PathValue("commit_sha")
	if _, ok := s.commits[sha]; !ok {
		return problem(http.StatusNotFound, "Not Found")
	}
	return answer{status: http.StatusOK, body: s.renderCommit(sha)}
}

func (s *Server) createTree(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in struct {
		BaseTree string `json:"base_tree"`
		Tree     []struct{ Path, Mode, Type, Content string }
	}
	if !decode(c, &in) {
		return problem(http.StatusBadRequest, "Problems parsing JSON")
	}
	base, ok := s.trees[in.BaseTree]
	if !ok && in.BaseTree != "" {
		return problem(http.StatusNotFound, "Not Found")
	}
	files := map[string]string{}
	maps.Copy(files, base)
	entries := []any{}
	for _, e := range in.Tree {
		if e.Path == "" || strings.HasPrefix(e.Path, "/") || slices.Contains(strings.Split(e.Path, "/"), "..") {
			return invalid(m{"resource": "Tree", "field": "path", "code": "invalid", "message": "tree.path contains a malformed path component"})
		}
		files[e.Path] = e.Content
		entries = append(entries, m{"path": e.Path, "mode": e.Mode, "type": "blob", "size": len(e.Content), "sha": digest(e.Content), "url": s.URL})
	}
	sha := digest(files)
	s.trees[sha] = files
	return answer{status: http.StatusCreated, body: m{"sha": sha, "url": s.URL + s.repo() + "/git/trees/" + sha, "truncated": false, "tree": entries}}
}

func (s *Server) createCommit(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in struct {
		Message, Tree string
		Parents       []string
	}
	if !decode(c, &in) {
		return problem(http.StatusBadRequest, "Problems parsing JSON")
	}
	files, ok := s.trees[in.Tree]
	for _, p := range in.Parents {
		if _, known := s.commits[p]; !known {
			ok = false
		}
	}
	if !ok {
		return invalid(m{"resource": "Commit", "field": "tree", "code": "invalid"})
	}
	sha := s.store(Commit{Message: in.Message, Parents: in.Parents, Files: files})
	return answer{status: http.StatusCreated, body: s.renderCommit(sha)}
}

func (s *Server) renderRef(ref string) m {
	sha := *s.reference(ref)
	return m{
		"ref": "refs/" + ref, "node_id": "REF_1", "url": s.URL + s.repo() + "/git/refs/" + ref,
		"object": m{"type": "commit", "sha": sha, "url": s.URL + s.repo() + "/git/commits/" + sha},
	}
}

// reference is the commit that heads/NAME or tags/NAME has; nil for other names.
func (s *Server) reference(ref string) *string {
	kind, name, _ := strings.Cut(ref, "/")
	list := map[string]map[string]string{"heads": s.heads, "tags": s.tags}[kind]
	if list == nil || name == "" {
		return nil
	}
	sha := list[name]
	return &sha
}

func (s *Server) setReference(ref, sha string) {
	kind, name, _ := strings.Cut(ref, "/")
	map[string]map[string]string{"heads": s.heads, "tags": s.tags}[kind][name] = sha
}

func (s *Server) createRef(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in struct{ Ref, SHA string }
	if !decode(c, &in) {
		return problem(http.StatusBadRequest, "Problems parsing JSON")
	}
	ref, ok := strings.CutPrefix(in.Ref, "refs/")
	_, known := s.commits[in.SHA]
	old := s.reference(ref)
	switch {
	case !ok || !known || old == nil:
		return invalid(m{"resource": "Reference", "field": "sha", "code": "invalid"})
	case *old != "":
		return invalid(m{"resource": "Reference", "code": "custom", "message": "Reference already exists"})
	}
	s.setReference(ref, in.SHA)
	return answer{status: http.StatusCreated, body: s.renderRef(ref)}
}

func (s *Server) updateRef(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in struct {
		SHA   string
		Force bool
	}
	ref := c.r.PathValue("ref")
	if !decode(c, &in) {
		return problem(http.StatusBadRequest, "Problems parsing JSON")
	}
	commit, known := s.commits[in.SHA]
	old := s.reference(ref)
	switch {
	case old == nil || *old == "" || !known:
		return invalid(m{"resource": "Reference", "code": "custom", "message": "Reference does not exist"})
	case !in.Force && !slices.Contains(commit.Parents, *old):
		return invalid(m{"resource": "Reference", "code": "custom", "message": "Update is not a fast forward"})
	}
	s.setReference(ref, in.SHA)
	for i, p := range s.pulls {
		if "heads/"+p.HeadRef == ref && p.HeadRepo == s.options.Owner+"/"+s.options.Repo {
			s.pulls[i].HeadSHA = in.SHA
		}
	}
	return answer{status: http.StatusOK, body: s.renderRef(ref)}
}

// Tag is the commit that a tag names.
func (s *Server) Tag(name string) (sha string, c Commit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tags[name], s.commits[s.tags[name]]
}
