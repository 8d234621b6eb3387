package publish

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/release"
)

// releaseDoc is a release as the API tells it. go-github v60 does not know all of
// these fields.
type releaseDoc struct {
	ID         int64   `json:"id"`
	Tag        string  `json:"tag_name"`
	Body       string  `json:"body"`
	Draft      bool    `json:"draft"`
	Immutable  bool    `json:"immutable"`
	Prerelease bool    `json:"prerelease"`
	HTMLURL    string  `json:"html_url"`
	UploadURL  string  `json:"upload_url"`
	Assets     []asset `json:"assets"`
}

// asset is a release asset as the API tells it.
type asset struct {
	ID     int64  `json:"id"`
	URL    string `json:"url"`
	Name   string `json:"name"`
	State  string `json:"state"` // "uploaded"; "starter" or "open" while bytes are missing
	Size   int64  `json:"size"`
	Digest string `json:"digest"` // "sha256:HEX"; empty where GitHub has none
}

// releaseEdit is what creating and editing a release sends.
type releaseEdit struct {
	Tag        string `json:"tag_name"`
	Target     string `json:"target_commitish,omitempty"`
	Name       string `json:"name"`
	Body       string `json:"body"`
	Draft      bool   `json:"draft"`
	Prerelease bool   `json:"prerelease"`
	Latest     string `json:"make_latest,omitempty"`
}

// client makes single calls; retry.go repeats them.
type client struct {
	gh     *github.Client
	repo   string // "repos/OWNER/NAME"
	upload *url.URL
	timing timing
	log    *progress.Log

	mu     sync.Mutex
	paused time.Time // until when GitHub wants to hear nothing of us
}

func newClient(cfg Config, plan release.Plan) (*client, error) {
	if cfg.Token == "" {
		return nil, fmt.Errorf("no token given: releases need one that may write contents (in a workflow: permissions: contents: write, and github.token)")
	}
	hc := cfg.HTTP
	if hc == nil {
		hc = &http.Client{Transport: transport()}
	}
	c := &client{
		gh:   github.NewClient(hc).WithAuthToken(cfg.Token),
		repo: "repos/" + url.PathEscape(plan.Owner) + "/" + url.PathEscape(plan.Repo),
	}
	c.gh.UserAgent = "nosa-actions"
	if cfg.BaseURL != "" {
		base, err := url.Parse(strings.TrimSuffix(cfg.BaseURL, "/") + "/")
		if err != nil || base.Host == "" {
			return nil, fmt.Errorf("API address %q: expected https://HOST/PATH", cfg.BaseURL)
		}
		c.gh.BaseURL = base
	}
	if cfg.UploadURL != "" {
		upload, err := url.Parse(cfg.UploadURL)
		if err != nil || upload.Host == "" {
			return nil, fmt.Errorf("upload address %q: expected https://HOST/PATH", cfg.UploadURL)
		}
		c.upload = upload
	}
	return c, nil
}

// transport speaks HTTP/1.1: streams of one HTTP/2 connection would share its
// window, and a reset would end them all.
func transport() *http.Transport {
	var only http.Protocols
	only.SetHTTP1(true)
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   30 * time.Second,
		ExpectContinueTimeout: 2 * time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   16,
		WriteBufferSize:       64 << 10,
		Protocols:             &only,
	}
}

// call sends body as JSON, if there is one, and reads the answer into v.
func (c *client) call(ctx context.Context, method, path string, body, v any) (*github.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timing.call)
	defer cancel()
	req, err := c.gh.NewRequest(method, c.repo+path, body)
	if err != nil {
		return nil, err
	}
	return c.gh.Do(ctx, req, v)
}

// oneRelease makes a call that is answered by a release.
func (c *client) oneRelease(ctx context.Context, method, path string, body any) (*releaseDoc, error) {
	var r releaseDoc
	if _, err := c.call(ctx, method, path, body, &r); err != nil {
		return nil, err
	}
	if r.ID == 0 { // go-github takes an empty answer for a good one
		return nil, errCutShort
	}
	return &r, nil
}

func (c *client) releaseByTag(ctx context.Context, tag string) (*releaseDoc, error) {
	return c.oneRelease(ctx, http.MethodGet, "/releases/tags/"+escapeRef(tag), nil)
}

func (c *client) releaseByID(ctx context.Context, id int64) (*releaseDoc, error) {
	return c.oneRelease(ctx, http.MethodGet, fmt.Sprintf("/releases/%d", id), nil)
}

func (c *client) createRelease(ctx context.Context, e releaseEdit) (*releaseDoc, error) {
	return c.oneRelease(ctx, http.MethodPost, "/releases", e)
}

func (c *client) editRelease(ctx context.Context, id int64, e releaseEdit) (*releaseDoc, error) {
	return c.oneRelease(ctx, http.MethodPatch, fmt.Sprintf("/releases/%d", id), e)
}

func (c *client) deleteRelease(ctx context.Context, id int64) error {
	_, err := c.call(ctx, http.MethodDelete, fmt.Sprintf("/releases/%d", id), nil, nil)
	return err
}

// tagExists asks for exactly this tag.
func (c *client) tagExists(ctx context.Context, tag string) error {
	var ref struct {
		Ref string `json:"ref"`
	}
	if _, err := c.call(ctx, http.MethodGet, "/git/ref/tags/"+escapeRef(tag), nil, &ref); err != nil {
		return err
	}
	if ref.Ref == "" {
		return errCutShort
	}
	return nil
}

func (c *client) repoExists(ctx context.Context) error {
	_, err := c.call(ctx, http.MethodGet, "", nil, nil)
	return err
}

func (c *client) asset(ctx context.Context, id int64) (*asset, error) {
	var a asset
	if _, err := c.call(ctx, http.MethodGet, fmt.Sprintf("/releases/assets/%d", id), nil, &a); err != nil {
		return nil, err
	}
	if a.ID == 0 {
		return nil, errCutShort
	}
	return &a, nil
}

func (c *client) renameAsset(ctx context.Context, id int64, name string) error {
	_, err := c.call(ctx, http.MethodPatch, fmt.Sprintf("/releases/assets/%d", id), struct {
		Name string `json:"name"`
	}{name}, nil)
	return sealed(err)
}

// deleteAsset removes an asset; that it is gone already is as good.
func (c *client) deleteAsset(ctx context.Context, id int64) error {
	_, err := c.call(ctx, http.MethodDelete, fmt.Sprintf("/releases/assets/%d", id), nil, nil)
	if status(err) == http.StatusNotFound {
		return nil
	}
	return sealed(err)
}

// sealed makes of GitHub's refusal to touch an immutable release what it means:
// another run has published it.
func sealed(err error) error {
	if status(err) == http.StatusUnprocessableEntity && strings.Contains(err.Error(), "immutable release") {
		return errRestart
	}
	return err
}

// pageLen is how many entries a page of a listing has at most.
const pageLen = 100

// pages reads up to max pages of a listing.
func pages[T any](ctx context.Context, c *client, path string, max int) ([]T, error) {
	var all []T
	for page, n := 1, 0; page != 0 && n < max; n++ {
		var part []T
		resp, err := c.call(ctx, http.MethodGet, fmt.Sprintf("%s?per_page=%d&page=%d", path, pageLen, page), nil, &part)
		if err != nil {
			return nil, err
		}
		if part == nil {
			return nil, errCutShort
		}
		all = append(all, part...)
		page = resp.NextPage
	}
	return all, nil
}

// escapeRef keeps the slashes of a tag, as the API wants them.
func escapeRef(tag string) string {
	parts := strings.Split(tag, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}
