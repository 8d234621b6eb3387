package githubtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/nestos/nosa-actions/internal/testkit"
)

// description is GitHub's published description of its API, as far as routes need
// it. It is not part of this repository: tools/github-api.sh fetches it, and
// NOSA_GITHUB_API, else .cache/github/api.github.com.json, is where it lies.
type description struct {
	doc *openapi3.T // nil: there is none, and nothing is checked
}

var readDescription = sync.OnceValues(func() (*description, error) {
	path, err := descriptionPath()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	part, err := excerpt(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(part)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	amend(doc)
	return &description{doc}, nil
})

// loadDescription is for the server: without a description it goes on. Where
// NOSA_TEST_ALL is set, a missing one fails the test.
func loadDescription(t testing.TB) *description {
	t.Helper()
	d, err := readDescription()
	switch {
	case err == nil:
		return d
	case errors.Is(err, os.ErrNotExist) && os.Getenv("NOSA_TEST_ALL") == "":
		t.Logf("requests are not held against GitHub's description: %v", err)
		return &description{}
	}
	t.Fatal(err)
	return nil
}

// NeedDescription skips the test, or fails it, where the description is missing.
func NeedDescription(t testing.TB) {
	t.Helper()
	if _, err := readDescription(); err != nil {
		testkit.Miss(t, fmt.Sprintf("GitHub's description of its API (tools/github-api.sh fetches it): %v", err))
	}
}

func descriptionPath() (string, error) {
	if path := os.Getenv("NOSA_GITHUB_API"); path != "" {
		return path, nil
	}
	dir, err := os.Getwd()
	for ; err == nil && dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, ".cache", "github", "api.github.com.json"), nil
		}
	}
	return "", os.ErrNotExist
}

// excerpt keeps our paths and what they refer to: the whole has a thousand paths
// and takes a loader half a minute.
func excerpt(data []byte) ([]byte, error) {
	var whole struct {
		OpenAPI    string                                `json:"openapi"`
		Info       json.RawMessage                       `json:"info"`
		Paths      map[string]json.RawMessage            `json:"paths"`
		Components map[string]map[string]json.RawMessage `json:"components"`
	}
	if err := json.Unmarshal(data, &whole); err != nil {
		return nil, err
	}
	paths, kept := map[string]json.RawMessage{}, map[string]map[string]json.RawMessage{}
	var queue []json.RawMessage
	for _, r := range routes {
		path := strings.TrimPrefix(r.path, uploadPrefix)
		item, ok := whole.Paths[path]
		if !ok {
			return nil, fmt.Errorf("no path %s", path)
		}
		paths[path] = item
		queue = append(queue, item)
	}
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		for _, ref := range references(next) {
			kind, name, _ := strings.Cut(strings.TrimPrefix(ref, "#/components/"), "/")
			item, ok := whole.Components[kind][name]
			if _, done := kept[kind][name]; !ok || done {
				continue
			}
			if kept[kind] == nil {
				kept[kind] = map[string]json.RawMessage{}
			}
			kept[kind][name] = item
			queue = append(queue, item)
		}
	}
	return json.Marshal(m{"openapi": whole.OpenAPI, "info": whole.Info, "paths": paths, "components": kept})
}

func references(item json.RawMessage) []string {
	var refs []string
	dec := json.NewDecoder(bytes.NewReader(item))
	for key := false; ; {
		token, err := dec.Token()
		if err != nil {
			return refs
		}
		text, isText := token.(string)
		if key && isText {
			refs = append(refs, text)
		}
		key = isText && text == "$ref"
	}
}

// amend mends two places where the schema is narrower than the prose beside it:
// assets may be in the state "starter", and uploads may be of any media type.
func amend(doc *openapi3.T) {
	state := doc.Components.Schemas["release-asset"].Value.Properties["state"].Value
	state.Enum = append(state.Enum, "starter")
	upload := doc.Paths.Value(reposPath + "/releases/{release_id}/assets").Post
	upload.RequestBody.Value.Content["*/*"] = upload.RequestBody.Value.Content["application/octet-stream"]
}

// brief leaves whole schemas out of what is told.
var brief = []openapi3.SchemaValidationOption{openapi3.DisableSchemaErrorDetails()}

// checker holds an answer against what its request asked for.
type checker struct {
	doc   *openapi3.T
	input *openapi3filter.RequestValidationInput
}

// request checks a request and leaves its body to be read again.
func (d *description) request(rt route, r *http.Request) (*checker, error) {
	if d.doc == nil {
		return nil, nil
	}
	path := strings.TrimPrefix(rt.path, uploadPrefix)
	item := d.doc.Paths.Value(path)
	op := item.GetOperation(rt.method)
	if op == nil || op.OperationID != rt.operation {
		return nil, fmt.Errorf("%s %s is not %s", rt.method, path, rt.operation)
	}
	params := map[string]string{}
	for _, part := range strings.Split(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			params[name] = r.PathValue(name)
		}
	}
	input := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params,
		Route: &routers.Route{Spec: d.doc, Path: path, PathItem: item, Method: rt.method, Operation: op},
		Options: &openapi3filter.Options{
			MultiError: true, IncludeResponseStatus: true, SkipSettingDefaults: true,
			SchemaValidationOptions: brief,
			ExcludeRequestBody:      strings.HasPrefix(rt.path, uploadPrefix), // it is streamed, and any bytes are right
		},
	}
	return &checker{d.doc, input}, openapi3filter.ValidateRequest(context.Background(), input)
}

// undocumented are answers that GitHub gives and the description leaves out, with
// the schema that it has for such answers elsewhere.
var undocumented = map[int]string{
	http.StatusBadRequest: "basic-error", http.StatusUnauthorized: "basic-error", http.StatusForbidden: "basic-error",
	http.StatusNotFound: "basic-error", http.StatusUnprocessableEntity: "validation-error",
}

// response checks an answer.
func (c *checker) response(status int, header http.Header, body []byte) error {
	if c == nil {
		return nil
	}
	documented := c.input.Route.Operation.Responses.Status(status) != nil
	if schema := undocumented[status]; !documented && schema != "" {
		var value any
		if err := json.Unmarshal(body, &value); err != nil {
			return err
		}
		return c.doc.Components.Schemas[schema].Value.VisitJSON(value, brief...)
	}
	return openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: c.input, Status: status, Header: header, Options: c.input.Options,
		Body: io.NopCloser(bytes.NewReader(body)),
	})
}

// repository is GitHub's own example with our names.
func (d *description) repository(s *Server) m {
	repo := m{}
	if d.doc != nil {
		data, err := json.Marshal(d.doc.Components.Examples["full-repository-default-response"].Value.Value)
		if err == nil {
			err = json.Unmarshal(data, &repo)
		}
		if err != nil {
			s.t.Errorf("githubtest: %v", err)
		}
	}
	for _, key := range []string{"parent", "source", "template_repository"} {
		delete(repo, key) // those of a fork; in the example they lack what the schema wants
	}
	if _, ok := repo["language"]; !ok {
		repo["language"] = nil // which the example leaves out and the schema requires
	}
	repo["name"], repo["full_name"] = s.options.Repo, s.options.Owner+"/"+s.options.Repo
	repo["permissions"] = m{"pull": true, "push": !s.options.ReadOnly, "admin": false}
	return repo
}
