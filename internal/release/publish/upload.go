package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/nestos/nosa-actions/internal/release"
)

// send uploads an asset once, under name, and checks what GitHub got.
func (p *publisher) send(ctx context.Context, draft *releaseDoc, a release.Asset, name string) (*asset, error) {
	step := p.log.Step("upload %s", a.Name)
	defer step.Stop()
	got, err := p.sendFile(ctx, draft, a, name)
	if err != nil {
		p.wary.Store(true)
	}
	switch {
	case status(err) == http.StatusNotFound: // taken away while it was sent; the next look tells what is left
		return nil, again{err}
	case refused(err, "name", "already_exists"):
		return nil, again{fmt.Errorf("the name is taken: %w", err)}
	case err != nil:
		return nil, sealed(err)
	case got.Name != name:
		return nil, permanent{fmt.Errorf("GitHub calls it %s", got.Name)}
	case got.State != stateUploaded:
		return nil, again{fmt.Errorf("GitHub leaves it in state %s", got.State)}
	case got.Size != a.Size, got.Digest != "" && !strings.EqualFold(got.Digest, "sha256:"+a.SHA256):
		return nil, mismatch(a, got)
	}
	p.tally.add(a.Name)
	step.Done("%.1f MB", float64(a.Size)/1e6)
	return got, nil
}

// asks is the size from which GitHub's consent to an upload is waited for before
// bytes are sent, so that a refusal costs few and is sure to be heard.
const asks = 1 << 20

// sendFile streams the part of the file. Its length is told beforehand. Consent is
// asked for, at the cost of a round trip, only once an upload has failed.
func (p *publisher) sendFile(ctx context.Context, draft *releaseDoc, a release.Asset, name string) (*asset, error) {
	address, err := p.uploadAddress(draft, name)
	if err != nil {
		return nil, permanent{err}
	}
	sent, err := openPart(a)
	if err != nil {
		return nil, permanent{err}
	}
	defer sent.Close()
	req, err := p.gh.NewUploadRequest(address, sent, a.Size, orElse(a.ContentType, "application/octet-stream"))
	if err != nil {
		return nil, err
	}
	if a.Size >= asks && p.wary.Load() {
		req.Header.Set("Expect", "100-continue")
	}
	ctx, watch := watched(ctx, p.timing.stall)
	defer watch.stop()
	watch.follow(sent)
	req.GetBody = func() (io.ReadCloser, error) {
		next, err := openPart(a)
		if err == nil {
			watch.follow(next)
		}
		return next, err
	}
	var got asset
	_, err = p.gh.Do(ctx, req, &got)
	if err != nil && status(err) == 0 {
		if changed := checkAsset(a); changed != nil {
			return nil, permanent{changed}
		}
	}
	if err == nil && got.ID == 0 {
		err = errCutShort
	}
	return &got, watch.cause(ctx, err)
}

// uploadAddress fills in the template that came with the release, such as
// https://uploads.github.com/repos/O/R/releases/1/assets{?name,label}.
func (p *publisher) uploadAddress(draft *releaseDoc, name string) (string, error) {
	plain, _, _ := strings.Cut(draft.UploadURL, "{")
	u, err := url.Parse(plain)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("GitHub gave the upload address %q", draft.UploadURL)
	}
	if p.upload != nil {
		u.Scheme, u.Host = p.upload.Scheme, p.upload.Host
	}
	u.RawQuery = url.Values{"name": {name}}.Encode()
	return u.String(), nil
}

// mismatch tells whether our file or the way to GitHub is to blame for bytes that
// are not the planned ones.
func mismatch(a release.Asset, got *asset) error {
	f, err := openPart(a)
	if err != nil {
		return permanent{err}
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return permanent{err}
	}
	if ours := hex.EncodeToString(sum.Sum(nil)); !strings.EqualFold(ours, a.SHA256) {
		return permanent{fmt.Errorf("%s has changed: its checksum is %s, planned was %s; collect the release again", a.Path, ours, a.SHA256)}
	}
	return again{fmt.Errorf("GitHub got %d bytes, %s, sent were %d bytes, sha256:%s", got.Size, orElse(got.Digest, "without a checksum"), a.Size, a.SHA256)}
}
