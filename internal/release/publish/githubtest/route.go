package githubtest

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// Call is one request to the API.
type Call struct {
	N         int    // counts from 1
	Operation string // GitHub's name for it, such as "repos/create-release"
	Method    string
	Path      string
}

// answer is what a handler wants to be sent.
type answer struct {
	status int
	body   any // JSON, unless nil
	header http.Header
}

// call is a request being handled.
type call struct {
	Call
	w     http.ResponseWriter
	r     *http.Request
	fault *Fault
}

// route ties a path of the description to a handler.
type route struct {
	method, path string // as in the description
	operation    string
	write        bool // needs a token that may write
	handle       func(*Server, *call) answer
}

const reposPath = "/repos/{owner}/{repo}"

var routes = []route{
	{"GET", reposPath, "repos/get", false, (*Server).getRepo},
	{"GET", reposPath + "/git/ref/{ref}", "git/get-ref", false, (*Server).getRef},
	{"GET", reposPath + "/releases", "repos/list-releases", false, (*Server).listReleases},
	{"POST", reposPath + "/releases", "repos/create-release", true, (*Server).createRelease},
	{"POST", reposPath + "/releases/generate-notes", "repos/generate-release-notes", true, (*Server).generateNotes},
	{"GET", reposPath + "/releases/latest", "repos/get-latest-release", false, (*Server).latestRelease},
	{"GET", reposPath + "/releases/tags/{tag}", "repos/get-release-by-tag", false, (*Server).releaseByTag},
	{"GET", reposPath + "/releases/assets/{asset_id}", "repos/get-release-asset", false, (*Server).getAsset},
	{"PATCH", reposPath + "/releases/assets/{asset_id}", "repos/update-release-asset", true, (*Server).updateAsset},
	{"DELETE", reposPath + "/releases/assets/{asset_id}", "repos/delete-release-asset", true, (*Server).deleteAsset},
	{"GET", reposPath + "/releases/{release_id}", "repos/get-release", false, (*Server).getRelease},
	{"PATCH", reposPath + "/releases/{release_id}", "repos/update-release", true, (*Server).updateRelease},
	{"DELETE", reposPath + "/releases/{release_id}", "repos/delete-release", true, (*Server).deleteRelease},
	{"GET", reposPath + "/releases/{release_id}/assets", "repos/list-release-assets", false, (*Server).listAssets},
	{"POST", uploadPrefix + reposPath + "/releases/{release_id}/assets", "repos/upload-release-asset", true, (*Server).upload},

	{"GET", reposPath + "/pulls", "pulls/list", false, (*Server).listPulls},
	{"POST", reposPath + "/pulls", "pulls/create", true, (*Server).createPull},
	{"PATCH", reposPath + "/pulls/{pull_number}", "pulls/update", true, (*Server).updatePull},
	{"GET", reposPath + "/issues/{issue_number}/comments", "issues/list-comments", false, (*Server).listComments},
	{"POST", reposPath + "/issues/{issue_number}/comments", "issues/create-comment", true, (*Server).createComment},
	{"PATCH", reposPath + "/issues/comments/{comment_id}", "issues/update-comment", true, (*Server).updateComment},
	{"GET", reposPath + "/actions/runs/{run_id}/artifacts", "actions/list-workflow-run-artifacts", false, (*Server).listArtifacts},
	{"GET", reposPath + "/actions/artifacts/{artifact_id}/{archive_format}", "actions/download-artifact", false, (*Server).getArtifact},
	{"GET", reposPath + "/git/commits/{commit_sha}", "git/get-commit", false, (*Server).getCommit},
	{"POST", reposPath + "/git/trees", "git/create-tree", true, (*Server).createTree},
	{"POST", reposPath + "/git/commits", "git/create-commit", true, (*Server).createCommit},
	{"POST", reposPath + "/git/refs", "git/create-ref", true, (*Server).createRef},
	{"PATCH", reposPath + "/git/refs/{ref}", "git/update-ref", true, (*Server).updateRef},
}

// uploadPrefix is where uploads go, as on an enterprise server; github.com has a
// host of its own for them. Posting assets to the API itself is not found on both.
const uploadPrefix = "/api/uploads"

// matcher is a route's path as an expression; tags and refs may have slashes.
func (r route) matcher() *regexp.Regexp {
	path := regexp.MustCompile(`\{(\w+)\}`).ReplaceAllString(r.path, `(?P<$1>[^/]+)`)
	for _, name := range []string{"ref", "tag"} {
		path = strings.ReplaceAll(path, "(?P<"+name+">[^/]+)", "(?P<"+name+">.+)")
	}
	return regexp.MustCompile("^" + path + "$")
}

func (s *Server) handler() http.Handler {
	matchers := make([]*regexp.Regexp, len(routes))
	for i, r := range routes {
		matchers[i] = r.matcher()
	}
	others := http.NewServeMux()
	others.HandleFunc("GET /download/{id}", s.download)
	others.HandleFunc("GET /artifact/{id}", s.artifactStore)
	others.HandleFunc("GET /{owner}/{repo}/releases/download/{tag}/{name}", s.downloadByName)
	others.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.t.Errorf("githubtest: %s %s is no path of this API", r.Method, r.URL.Path)
		http.Error(w, `{"message":"Not Found"}`, http.StatusNotFound)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// An enterprise server has the API below /api/v3.
		path := strings.TrimPrefix(r.URL.Path, "/api/v3")
		for i, rt := range routes {
			if found := matchers[i].FindStringSubmatch(path); found != nil && rt.method == r.Method {
				for j, name := range matchers[i].SubexpNames() {
					if name != "" {
						r.SetPathValue(name, found[j])
					}
				}
				s.serve(rt, w, r)
				return
			}
		}
		others.ServeHTTP(w, r)
	})
}

// serve handles one call: delay, fault, check of the request, the handler, check
// of the answer.
func (s *Server) serve(rt route, w http.ResponseWriter, r *http.Request) {
	c := &call{w: w, r: r}
	s.mu.Lock()
	c.Call = Call{N: len(s.calls) + 1, Operation: rt.operation, Method: r.Method, Path: r.URL.Path}
	s.calls = append(s.calls, c.Call)
	decide := s.fault
	s.mu.Unlock()
	if decide != nil {
		c.fault = decide(c.Call)
	}
	time.Sleep(s.options.Latency)
	if c.fault != nil && c.fault.before(c) {
		return
	}
	check, err := s.spec.request(rt, r)
	if err != nil {
		s.t.Errorf("githubtest: request %s %s: %v", r.Method, r.URL, err)
	}
	var a answer
	switch {
	case r.Header.Get("Authorization") != "Bearer "+Token:
		a = problem(http.StatusUnauthorized, "Bad credentials")
	case r.PathValue("owner") != s.options.Owner || r.PathValue("repo") != s.options.Repo:
		a = problem(http.StatusNotFound, "Not Found")
	case rt.write && s.options.ReadOnly:
		a = problem(http.StatusForbidden, "Resource not accessible by integration")
	default:
		a = rt.handle(s, c)
	}
	if a.status == 0 {
		return // the handler broke the connection
	}
	s.send(c, check, a)
}

func (s *Server) send(c *call, check *checker, a answer) {
	var body []byte
	if a.body != nil {
		var err error
		if body, err = json.MarshalIndent(a.body, "", " "); err != nil {
			s.t.Errorf("githubtest: %v", err)
		}
		c.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	for key, values := range a.header {
		c.w.Header()[key] = values
	}
	if err := check.response(a.status, c.w.Header(), body); err != nil {
		s.t.Errorf("githubtest: answer %d to %s %s: %v\n%s", a.status, c.Method, c.r.URL, err, body)
	}
	if c.fault != nil && c.fault.after(c, a.status, body) {
		return
	}
	c.w.WriteHeader(a.status)
	_, _ = c.w.Write(body)
}

// decode reads a request's JSON.
func decode(c *call, v any) bool {
	data, err := io.ReadAll(io.LimitReader(c.r.Body, 1<<20))
	return err == nil && json.Unmarshal(data, v) == nil
}

type m = map[string]any

func problem(status int, message string) answer {
	return answer{status: status, body: m{"message": message, "documentation_url": "https://docs.github.com/rest", "status": http.StatusText(status)}}
}

// invalid is GitHub's way of finding fault with fields.
func invalid(faults ...m) answer {
	return answer{status: http.StatusUnprocessableEntity, body: m{
		"message": "Validation Failed", "errors": faults, "documentation_url": "https://docs.github.com/rest", "status": "422",
	}}
}
