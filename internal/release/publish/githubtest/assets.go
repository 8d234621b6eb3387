package githubtest

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	maxAssets  = 1000
	tooLarge   = 1 << 31
	keptLength = 8 << 20 // content of larger assets is only summed
)

var (
	unkept = regexp.MustCompile(`[^A-Za-z0-9._+@-]+`)
	dots   = regexp.MustCompile(`\.\.+`)
)

// keptName is what GitHub makes of an asset's name.
func keptName(name string) string {
	name = dots.ReplaceAllString(unkept.ReplaceAllString(name, "."), ".")
	name = strings.TrimRight(name, ".")
	if strings.HasPrefix(name, ".") {
		return "default" + name
	}
	return name
}

func (s *Server) listAssets(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := pathID(c, "release_id")
	if s.release(id) == nil {
		return problem(http.StatusNotFound, "Not Found")
	}
	all := []any{}
	for _, r := range s.listed() {
		for _, a := range r.Assets {
			if r.ID == id {
				all = append(all, s.renderAsset(r, a))
			}
		}
	}
	return s.page(c, all)
}

// upload begins an asset in the state "starter" and makes it whole with the last
// byte. What GitHub can refuse it refuses before it takes the first.
func (s *Server) upload(c *call) answer {
	s.mu.Lock()
	name := keptName(c.r.URL.Query().Get("name"))
	r := s.release(pathID(c, "release_id"))
	if fault := s.uploadRefusal(r, name, c.r.ContentLength); fault != nil {
		s.mu.Unlock()
		return *fault
	}
	id := s.nextID()
	s.change(func() {
		r.Assets = append(r.Assets, Asset{
			ID: id, Name: name, Label: c.r.URL.Query().Get("label"), State: "starter",
			ContentType: c.r.Header.Get("Content-Type"), Created: time.Now(),
		})
	})
	s.mu.Unlock()
	if c.fault != nil && c.fault.Status != 0 {
		c.fault.refuse(c.w)
		return answer{}
	}
	if c.fault != nil && c.fault.Reset {
		_, _ = io.CopyN(io.Discard, c.r.Body, c.r.ContentLength/2)
		breakOff(c.w)
		return answer{}
	}
	content, sum, err := s.receive(c)
	if err != nil {
		breakOff(c.w)
		return answer{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, a := s.asset(id)
	if a == nil { // deleted in the meantime
		return problem(http.StatusNotFound, "Not Found")
	}
	s.change(func() {
		a.State, a.Size, a.SHA256, a.Content = "uploaded", c.r.ContentLength, sum, content
	})
	return answer{status: http.StatusCreated, body: s.renderAsset(*r, *a)}
}

func (s *Server) uploadRefusal(r *Release, name string, size int64) *answer {
	var a answer
	switch {
	case r == nil:
		a = problem(http.StatusNotFound, "Not Found")
	case size < 0:
		a = problem(http.StatusBadRequest, "Bad Content-Length: ")
	case r.Immutable:
		a = problem(http.StatusUnprocessableEntity, "Cannot upload assets to an immutable release.")
	case name == "":
		a = invalid(m{"resource": "ReleaseAsset", "code": "missing_field", "field": "name"})
	case slices.ContainsFunc(r.Assets, func(a Asset) bool { return a.Name == name }):
		a = invalid(m{"resource": "ReleaseAsset", "code": "already_exists", "field": "name"})
	case size < 1:
		a = invalid(m{"resource": "ReleaseAsset", "code": "custom", "field": "size", "message": "size must be greater than or equal to 1"})
	case size >= tooLarge:
		a = invalid(m{"resource": "ReleaseAsset", "code": "custom", "field": "size", "message": "size must be less than 2147483648"})
	case len(r.Assets) >= maxAssets:
		a = invalid(m{"resource": "ReleaseAsset", "code": "custom", "field": "file_count", "message": "file_count limited to 1000 assets per release"})
	default:
		return nil
	}
	return &a
}

// receive reads an upload and sums it.
func (s *Server) receive(c *call) (content []byte, sum string, err error) {
	h := sha256.New()
	if c.fault != nil && c.fault.Corrupt {
		h.Write([]byte("not what was sent"))
	}
	if c.r.ContentLength <= keptLength {
		if content, err = io.ReadAll(c.r.Body); err == nil && int64(len(content)) != c.r.ContentLength {
			err = io.ErrUnexpectedEOF
		}
		h.Write(content)
	} else {
		_, err = io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{c.r.Body}, make([]byte, 256<<10))
	}
	return content, hex.EncodeToString(h.Sum(nil)), err
}

func (s *Server) getAsset(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, a := s.asset(pathID(c, "asset_id"))
	switch {
	case a == nil:
		return problem(http.StatusNotFound, "Not Found")
	case c.r.Header.Get("Accept") == "application/octet-stream":
		return answer{status: http.StatusFound, header: http.Header{"Location": {s.URL + "/download/" + c.r.PathValue("asset_id")}}}
	}
	return answer{status: http.StatusOK, body: s.renderAsset(*r, *a)}
}

func (s *Server) updateAsset(c *call) answer {
	var e struct {
		Name, Label *string
	}
	if !decode(c, &e) {
		return problem(http.StatusBadRequest, "Problems parsing JSON")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, a := s.asset(pathID(c, "asset_id"))
	if a == nil {
		return problem(http.StatusNotFound, "Not Found")
	}
	if r.Immutable {
		return problem(http.StatusUnprocessableEntity, "Cannot update assets of an immutable release.")
	}
	if e.Name != nil {
		*e.Name = keptName(*e.Name)
		if slices.ContainsFunc(r.Assets, func(other Asset) bool { return other.ID != a.ID && other.Name == *e.Name }) {
			return invalid(m{"resource": "ReleaseAsset", "code": "already_exists", "field": "name"})
		}
	}
	s.change(func() {
		set(&a.Name, e.Name)
		set(&a.Label, e.Label)
	})
	return answer{status: http.StatusOK, body: s.renderAsset(*r, *a)}
}

func (s *Server) deleteAsset(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, a := s.asset(pathID(c, "asset_id"))
	if a == nil {
		return problem(http.StatusNotFound, "Not Found")
	}
	if r.Immutable {
		return problem(http.StatusUnprocessableEntity, "Cannot delete asset from an immutable release")
	}
	id := a.ID
	s.change(func() {
		r.Assets = slices.DeleteFunc(slices.Clone(r.Assets), func(a Asset) bool { return a.ID == id })
	})
	return answer{status: http.StatusNoContent}
}

// download is where the API sends those who want an asset's bytes.
func (s *Server) download(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	_, a := s.asset(pathID(&call{r: r}, "id"))
	s.mu.Unlock()
	give(w, a)
}

// downloadByName is the address on the release's page.
func (s *Server) downloadByName(w http.ResponseWriter, req *http.Request) {
	s.mu.Lock()
	var found *Asset
	for _, r := range s.releases {
		for _, a := range r.Assets {
			if !r.Draft && r.Tag == req.PathValue("tag") && a.Name == req.PathValue("name") {
				found = &a
			}
		}
	}
	s.mu.Unlock()
	give(w, found)
}

func give(w http.ResponseWriter, a *Asset) {
	if a == nil || a.Content == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", a.ContentType)
	_, _ = w.Write(a.Content)
}
