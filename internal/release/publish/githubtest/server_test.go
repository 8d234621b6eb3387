package githubtest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ask makes one call and returns the status and the decoded answer.
func ask(t *testing.T, method, url, body string, size int64) (int, m) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+Token)
	req.Header.Set("Content-Type", "application/json")
	if size > 0 {
		req.ContentLength = size
		req.Header.Set("Expect", "100-continue")
	}
	resp, err := (&http.Client{Transport: &http.Transport{ExpectContinueTimeout: 1 << 40}}).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var answer m
	_ = json.Unmarshal(data, &answer)
	return resp.StatusCode, answer
}

func draft(s *Server) (Release, string) {
	r := s.Add(Release{Tag: "v1", Draft: true})
	return r, s.render(r)["upload_url"].(string)[:len(s.render(r)["upload_url"].(string))-len("{?name,label}")]
}

func TestGitHubsLimitsAreKept(t *testing.T) {
	NeedDescription(t)
	s := New(t, Options{})
	_, upload := draft(s)
	for size, want := range map[int64]int{1<<31 + 1: 422, 1 << 31: 422} {
		code, answer := ask(t, "POST", upload+"?name=big.img", "x", size)
		require.Equal(t, want, code)
		require.Contains(t, answer["errors"].([]any)[0].(m)["message"], "less than 2147483648")
	}
	code, answer := ask(t, "POST", upload+"?name=a", "", 0)
	require.Equal(t, 422, code, answer)
	require.Contains(t, answer["errors"].([]any)[0].(m)["message"], "greater than or equal to 1")

	code, answer = ask(t, "POST", upload+"?name=.my%20image%20(1).img.", "bytes", 0)
	require.Equal(t, 201, code)
	require.Equal(t, "default.my.image.1.img", answer["name"])
	code, answer = ask(t, "POST", upload+"?name=.my%20image%20(1).img", "bytes", 0)
	require.Equal(t, 422, code)
	require.Equal(t, "already_exists", answer["errors"].([]any)[0].(m)["code"])
}

func TestDraftsAreNotFoundByTag(t *testing.T) {
	s := New(t, Options{})
	r, _ := draft(s)
	code, _ := ask(t, "GET", s.URL+s.repo()+"/releases/tags/v1", "", 0)
	require.Equal(t, 404, code)
	code, _ = ask(t, "PATCH", s.URL+s.repo()+"/releases/"+strings.TrimPrefix(s.render(r)["node_id"].(string), "RE_"), `{"draft":false}`, 0)
	require.Equal(t, 200, code)
	code, answer := ask(t, "GET", s.URL+s.repo()+"/releases/tags/v1", "", 0)
	require.Equal(t, 200, code)
	require.Equal(t, "v1", answer["tag_name"])
	code, _ = ask(t, "POST", s.URL+s.repo()+"/releases", `{"tag_name":"v1"}`, 0)
	require.Equal(t, 422, code, "one published release for a tag")
}

func TestReadersSeeNoDrafts(t *testing.T) {
	s := New(t, Options{ReadOnly: true})
	r, _ := draft(s)
	u, err := url.Parse(s.URL)
	require.NoError(t, err)
	require.Empty(t, s.listReleases(&call{r: &http.Request{URL: u}}).body)
	code, answer := ask(t, "DELETE", s.URL+s.repo()+"/releases/"+strings.TrimPrefix(s.render(r)["node_id"].(string), "RE_"), "", 0)
	require.Equal(t, 403, code)
	require.Equal(t, "Resource not accessible by integration", answer["message"])
}

// The check has to be able to find something.
func TestTheDescriptionFindsFault(t *testing.T) {
	NeedDescription(t)
	d, err := readDescription()
	require.NoError(t, err)
	create := routes[3]
	require.Equal(t, "repos/create-release", create.operation)
	request := func(body string) (*checker, error) {
		r, err := http.NewRequest("POST", "http://localhost/repos/o/r/releases", strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.SetPathValue("owner", "o")
		r.SetPathValue("repo", "r")
		return d.request(create, r)
	}
	for body, want := range map[string]string{
		`{}`:                                  `"tag_name" is missing`,
		`{"tag_name":1}`:                      "value must be a string",
		`{"tag_name":"v1","draft":"yes"}`:     "value must be a boolean",
		`{"tag_name":"v1","make_latest":"x"}`: "allowed values",
	} {
		_, err := request(body)
		require.ErrorContains(t, err, want, body)
	}
	check, err := request(`{"tag_name":"v1"}`)
	require.NoError(t, err)

	s := New(t, Options{})
	good := s.render(Release{ID: 1, Tag: "v1", Draft: true})
	answer := func() error {
		data, err := json.Marshal(good)
		require.NoError(t, err)
		return check.response(http.StatusCreated, http.Header{"Content-Type": {"application/json"}}, data)
	}
	require.NoError(t, answer())
	good["id"] = "one"
	require.ErrorContains(t, answer(), "value must be an integer")
	delete(good, "id")
	require.ErrorContains(t, answer(), `"id" is missing`)
	require.Error(t, check.response(http.StatusTeapot, http.Header{}, nil), "a status that is not described")
}
