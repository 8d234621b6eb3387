package job

import (
	"cmp"
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
	"github.com/nestos/nosa-actions/internal/workdir"
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

// LastRelease is what the newest release of the repository has installed, and how large
// its images are, by the records among its assets. Without one, or where it cannot be had, it is
// nil: nothing depends on it.
func (j *Job) LastRelease(ctx context.Context, token string) *report.Known {
	h := hub{
		api: j.Step.API(), repository: j.Step.Event().Repository, token: token,
		client: http.Client{Timeout: releaseWait, CheckRedirect: withoutToken},
	}
	if h.api == "" || !repositoryName.MatchString(h.repository) {
		return nil
	}
	known, err := h.latest(ctx, j.Arch.RPM)
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

// hubRelease is what of GitHub's description of a release is read.
type hubRelease struct {
	Tag    string `json:"tag_name"`
	Assets []struct {
		Name string `json:"name"`
		URL  string `json:"url"`
	} `json:"assets"`
}

func (h hub) latest(ctx context.Context, arch string) (*report.Known, error) {
	text, err := h.get(ctx, h.api+"/repos/"+h.repository+"/releases/latest", "application/vnd.github+json")
	if err != nil {
		return nil, err
	}
	var release hubRelease
	if err := json.Unmarshal(text, &release); err != nil {
		return nil, err
	}
	list, err := h.asset(ctx, release, "packages."+arch+".txt")
	if err != nil {
		return nil, err
	}
	record, err := h.asset(ctx, release, "meta."+arch+".json")
	if err != nil {
		return nil, err
	}
	var m workdir.Meta
	if err := json.Unmarshal(record, &m); err != nil {
		return nil, err
	}
	return &report.Known{BuildID: release.Tag, Packages: parseNEVRAs(string(list)), Images: ImageSizes(&m)}, nil
}

// asset downloads an asset of a release.
func (h hub) asset(ctx context.Context, release hubRelease, name string) ([]byte, error) {
	for _, a := range release.Assets {
		if a.Name != name {
			continue
		}
		if !strings.HasPrefix(a.URL, h.api+"/") {
			return nil, fmt.Errorf("asset %s lies elsewhere", name)
		}
		return h.get(ctx, a.URL, "application/octet-stream")
	}
	return nil, fmt.Errorf("release %q has no %s", release.Tag, name)
}

// ImageSizes are those of a build's artifacts before any compression, in bytes.
func ImageSizes(m *workdir.Meta) map[string]int64 {
	sizes := map[string]int64{}
	for name, image := range m.Images {
		sizes[name] = cmp.Or(image.UncompressedSize, image.Size)
	}
	return sizes
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
