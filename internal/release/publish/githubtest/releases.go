package githubtest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (s *Server) getRepo(*call) answer {
	return answer{status: http.StatusOK, body: s.spec.repository(s)}
}

func (s *Server) getRef(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	ref := c.r.PathValue("ref")
	if sha := s.reference(ref); sha == nil || *sha == "" {
		return problem(http.StatusNotFound, "Not Found")
	}
	return answer{status: http.StatusOK, body: s.renderRef(ref)}
}

// listReleases shows drafts only to those who may write, newest first.
func (s *Server) listReleases(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []any{}
	for _, r := range slices.Backward(s.listed()) {
		if !r.Draft || !s.options.ReadOnly {
			all = append(all, s.render(r))
		}
	}
	return s.page(c, all)
}

// page cuts a listing and says where the rest is.
func (s *Server) page(c *call, all []any) answer {
	number := func(key string, missing, most int) int {
		n, err := strconv.Atoi(c.r.URL.Query().Get(key))
		if err != nil || n < 1 {
			return missing
		}
		return min(n, most)
	}
	size, page := number("per_page", 30, 100), number("page", 1, 1<<20)
	begin := min((page-1)*size, len(all))
	end := min(begin+size, len(all))
	a := answer{status: http.StatusOK, body: all[begin:end], header: http.Header{}}
	if end < len(all) {
		u := *c.r.URL
		q := u.Query()
		q.Set("page", strconv.Itoa(page+1))
		u.RawQuery = q.Encode()
		a.header.Set("Link", fmt.Sprintf("<%s%s>; rel=\"next\"", s.URL, u.String()))
	}
	return a
}

// edit is the body of create and update.
type edit struct {
	Tag        *string `json:"tag_name"`
	Target     *string `json:"target_commitish"`
	Name       *string `json:"name"`
	Body       *string `json:"body"`
	Draft      *bool   `json:"draft"`
	Prerelease *bool   `json:"prerelease"`
	Latest     *string `json:"make_latest"`
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func (e edit) apply(r *Release) {
	set(&r.Tag, e.Tag)
	set(&r.Target, e.Target)
	set(&r.Name, e.Name)
	set(&r.Body, e.Body)
	set(&r.Draft, e.Draft)
	set(&r.Prerelease, e.Prerelease)
}

func (s *Server) createRelease(c *call) answer {
	var e edit
	if !decode(c, &e) {
		return problem(http.StatusBadRequest, "Problems parsing JSON")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Tag == nil || *e.Tag == "" {
		return invalid(m{"resource": "Release", "code": "missing_field", "field": "tag_name"})
	}
	r := Release{Created: time.Now()}
	e.apply(&r)
	if fault := s.refusal(r); fault != nil {
		return *fault
	}
	s.change(func() {
		r.ID = s.nextID()
		s.releases = append(s.releases, r)
		if !r.Draft {
			s.publish(s.release(r.ID), e)
		}
	})
	return answer{status: http.StatusCreated, body: s.render(*s.release(r.ID))}
}

func (s *Server) updateRelease(c *call) answer {
	var e edit
	if !decode(c, &e) {
		return problem(http.StatusBadRequest, "Problems parsing JSON")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.release(pathID(c, "release_id"))
	if r == nil {
		return problem(http.StatusNotFound, "Not Found")
	}
	next := *r
	e.apply(&next)
	if r.Immutable && (next.Tag != r.Tag || next.Draft) {
		return invalid(m{"resource": "Release", "code": "custom", "field": "tag_name", "message": "immutable releases cannot be changed"})
	}
	if fault := s.refusal(next); fault != nil {
		return *fault
	}
	wasDraft := r.Draft
	s.change(func() {
		*r = next
		if wasDraft && !r.Draft {
			s.publish(r, e)
		}
	})
	return answer{status: http.StatusOK, body: s.render(*r)}
}

// refusal is what GitHub would say against a release as it shall be: one published
// release for a tag, and none for a tag that an immutable one had.
func (s *Server) refusal(r Release) *answer {
	if r.Draft {
		return nil
	}
	if s.burnt[r.Tag] && !r.Immutable {
		a := invalid(m{"resource": "Release", "code": "custom", "field": "tag_name", "message": "tag_name was used by an immutable release"})
		return &a
	}
	for _, other := range s.releases {
		if other.ID != r.ID && !other.Draft && other.Tag == r.Tag {
			a := invalid(m{"resource": "Release", "code": "already_exists", "field": "tag_name"})
			return &a
		}
	}
	return nil
}

// publish does what comes with publishing: the tag, "latest", immutability.
func (s *Server) publish(r *Release, e edit) {
	if _, ok := s.tags[r.Tag]; !ok {
		s.tags[r.Tag] = strings.Repeat("b", 40)
	}
	r.Published = time.Now()
	if s.options.Immutable {
		r.Immutable = true
		s.burnt[r.Tag] = true
	}
	latest := "true"
	set(&latest, e.Latest)
	if latest != "false" && !r.Prerelease {
		for i := range s.releases {
			s.releases[i].Latest = false
		}
		r.Latest = true
	}
}

func (s *Server) deleteRelease(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := pathID(c, "release_id")
	if s.release(id) == nil {
		return problem(http.StatusNotFound, "Not Found")
	}
	s.change(func() {
		s.releases = slices.DeleteFunc(s.releases, func(r Release) bool { return r.ID == id })
	})
	return answer{status: http.StatusNoContent}
}

func (s *Server) getRelease(c *call) answer {
	return s.one(func(r Release) bool { return r.ID == pathID(c, "release_id") })
}

// releaseByTag does not find drafts.
func (s *Server) releaseByTag(c *call) answer {
	return s.one(func(r Release) bool { return !r.Draft && r.Tag == c.r.PathValue("tag") })
}

func (s *Server) latestRelease(*call) answer {
	return s.one(func(r Release) bool { return !r.Draft && r.Latest })
}

func (s *Server) one(is func(Release) bool) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.releases {
		if is(r) && (!r.Draft || !s.options.ReadOnly) {
			return answer{status: http.StatusOK, body: s.render(r)}
		}
	}
	return problem(http.StatusNotFound, "Not Found")
}

func (s *Server) generateNotes(c *call) answer {
	var want struct {
		Tag string `json:"tag_name"`
	}
	if !decode(c, &want) {
		return problem(http.StatusBadRequest, "Problems parsing JSON")
	}
	return answer{status: http.StatusOK, body: m{
		"name": want.Tag,
		"body": fmt.Sprintf("**Full Changelog**: %s/%s/%s/commits/%s", s.URL, s.options.Owner, s.options.Repo, want.Tag),
	}}
}

func pathID(c *call, name string) int64 {
	id, _ := strconv.ParseInt(c.r.PathValue(name), 10, 64)
	return id
}
