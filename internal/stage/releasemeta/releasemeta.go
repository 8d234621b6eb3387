// Package releasemeta is the stage that writes release.json of a build: where its
// images can be downloaded, and their checksums.
package releasemeta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/format/streammeta"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// Options says what to describe.
type Options struct {
	Workdir *workdir.Dir // not needed with URLs
	Build   string       // id; "" or "latest" is the newest build
	// URLs are addresses of meta.json files to describe instead of a build here.
	URLs []string

	Stream       string // name; empty: the branch of the config
	BaseURL      string // images lie below BASE/STREAM/builds/ID/ARCH
	NoSignatures bool   // there are none beside the images
	Output       string // file; empty: builds/ID/release.json. One that is there is extended
}

// Run writes the release metadata and returns its path.
func Run(ctx context.Context, o Options) (string, error) {
	if o.BaseURL == "" {
		return "", errors.New("the base of all addresses is needed; give --stream-baseurl URL")
	}
	if len(o.URLs) > 0 && o.Output == "" {
		return "", errors.New("with --url there is no build to write to; give --output FILE")
	}
	metas, dir, err := o.metas(ctx)
	if err != nil {
		return "", err
	}
	output := o.Output
	if output == "" {
		output = filepath.Join(dir, "release.json")
	}
	all, err := existing(output)
	if err != nil {
		return "", err
	}
	for _, m := range metas {
		r, err := o.describe(m)
		if err == nil && all == nil {
			all = r
		} else if err == nil {
			err = all.Merge(r)
		}
		if err != nil {
			return "", err
		}
	}
	data, err := all.JSON()
	if err != nil {
		return "", err
	}
	return output, atomicfile.Write(output, data, 0o644)
}

// metas are the records of all architectures, and the directory of the build.
func (o Options) metas(ctx context.Context) (metas []*workdir.Meta, dir string, err error) {
	for _, url := range o.URLs {
		m, err := fetch(ctx, url)
		if err != nil {
			return nil, "", err
		}
		metas = append(metas, m)
	}
	if len(o.URLs) > 0 {
		return metas, "", nil
	}
	builds, err := o.Workdir.Arches(o.Build)
	if err != nil {
		return nil, "", err
	}
	for _, b := range builds {
		m, err := b.View()
		if err != nil {
			return nil, "", err
		}
		if m.Basearch == "" {
			m.Basearch = b.Arch.RPM
		}
		metas = append(metas, m)
	}
	return metas, filepath.Dir(builds[0].Dir), nil
}

func existing(path string) (*streammeta.Release, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(data) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := streammeta.ParseRelease(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// describe is the release metadata of one architecture.
func (o Options) describe(m *workdir.Meta) (*streammeta.Release, error) {
	stream := o.Stream
	if stream == "" && m.ConfigGit != nil {
		stream = m.ConfigGit.Branch
	}
	if stream == "" {
		return nil, fmt.Errorf("build %s for %s does not say its stream; give --stream-name NAME", m.BuildID, m.Basearch)
	}
	if m.BuildID == "" || m.Basearch == "" {
		return nil, errors.New("metadata names no build or no architecture")
	}
	b := streammeta.Build{ID: m.BuildID, Stream: stream, Arch: m.Basearch, Commit: m.OSTreeCommit, Clouds: m.Extra}
	base := strings.Join([]string{strings.TrimSuffix(o.BaseURL, "/"), stream, "builds", m.BuildID, m.Basearch}, "/")
	for _, name := range slices.Sorted(maps.Keys(m.Images)) {
		from := m.Images[name]
		image := streammeta.Image{Name: name, Path: from.Path, Artifact: streammeta.Artifact{
			Location: base + "/" + from.Path, SHA256: from.SHA256,
		}}
		if !o.NoSignatures {
			image.Signature = image.Location + ".sig"
		}
		if from.UncompressedSHA256 != "" {
			image.UncompressedSHA256 = &from.UncompressedSHA256
		}
		b.Images = append(b.Images, image)
	}
	return b.Release()
}

// maxMeta bounds a meta.json from the network, in bytes.
const maxMeta = 64 << 20

// fetch reads a meta.json from the network, or from a file:// address.
func fetch(ctx context.Context, url string) (*workdir.Meta, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.RegisterProtocol("file", http.NewFileTransport(http.Dir("/")))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: %s", url, resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxMeta))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", url, err)
	}
	var m workdir.Meta
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	var extra map[string]json.RawMessage
	if err := json.Unmarshal(data, &extra); err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	m.Extra = extra // only the keys of clouds are looked at
	return &m, nil
}
