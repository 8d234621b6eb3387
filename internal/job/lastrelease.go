package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/report"
)

// Limits of what is asked of GitHub for a comparison that is nice to have.
const (
	releaseWait  = 10 * time.Second
	maxReleaseAt = 4 << 20 // bytes of one answer
)

// hub asks GitHub about releases, with a token that may be empty.
type hub struct {
	api, repository, token string
	client                 http.Client
}

// LastRelease is what the newest release of the repository has installed, by the
// list of packages among its assets. Without one, or where it cannot be had, it is
// nil: nothing depends on it.
func (j *Job) LastRelease(ctx context.Context, token string) *report.Known {
	h := hub{
		api: j.Step.API(), repository: j.Step.Event().Repository, token: token,
		client: http.Client{Timeout: releaseWait, CheckRedirect: withoutToken},
	}
	if h.api == "" || !repositoryName.MatchString(h.repository) {
		return nil
	}
	known, err := h.latest(ctx, "packages."+j.Arch.RPM+".txt")
	if err != nil {
		j.Step.Log("no release to compare with: %v", err)
		return nil
	}
	return known
}

// withoutToken lets redirects pass, as GitHub answers for assets, but leaves the
// token to the server that it is for. The library does so by the host's name alone.
func withoutToken(next *http.Request, via []*http.Request) error {
	if len(via) > 5 {
		return errors.New("too many redirects")
	}
	if next.URL.Scheme != via[0].URL.Scheme || next.URL.Host != via[0].URL.Host {
		next.Header.Del("Authorization")
	}
	return nil
}

func (h hub) latest(ctx context.Context, list string) (*report.Known, error) {
	var release struct {
		Tag    string `json:"tag_name"`
		Assets []struct {
			Name string `json:"name"`
			URL  string `json:"url"`
		} `json:"assets"`
	}
	text, err := h.get(ctx, h.api+"/repos/"+h.repository+"/releases/latest", "application/vnd.github+json")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &release); err != nil {
		return nil, err
	}
	for _, a := range release.Assets {
		if a.Name != list {
			continue
		}
		if !strings.HasPrefix(a.URL, h.api+"/") {
			return nil, fmt.Errorf("asset %s lies elsewhere", list)
		}
		text, err := h.get(ctx, a.URL, "application/octet-stream")
		if err != nil {
			return nil, err
		}
		return &report.Known{BuildID: release.Tag, Packages: parseNEVRAs(string(text))}, nil
	}
	return nil, fmt.Errorf("release %q has no %s", release.Tag, list)
}

func (h hub) get(ctx context.Context, address, accept string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	if h.token != "" {
		req.Header.Set("Authorization", "Bearer "+h.token)
	}
	answer, err := h.client.Do(req)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err // the address of a redirect may give access
		}
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GitHub answers %s", answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, maxReleaseAt))
}

// parseNEVRAs reads lines of name-[epoch:]version-release.arch; others are passed
// over.
func parseNEVRAs(text string) map[string]string {
	packages := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		dot := strings.LastIndexByte(line, '.')
		if dot < 0 {
			continue
		}
		rest, arch := line[:dot], line[dot+1:]
		release := strings.LastIndexByte(rest, '-')
		if release < 0 {
			continue
		}
		version := strings.LastIndexByte(rest[:release], '-')
		if version < 1 {
			continue
		}
		packages[rest[:version]+"."+arch] = rest[version+1:]
	}
	return packages
}
