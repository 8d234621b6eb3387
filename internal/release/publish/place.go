package publish

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/release"
)

// Bytes go to the asset's own name where that is free. Where an upload that has
// not finished holds the name, nobody can tell a dead one from another run's: its
// replacement is uploaded under a name of its own and takes the place only when
// it is whole. So one of several runs always gets on.

const (
	stateUploaded = "uploaded"
	halfPrefix    = "nosa-half."
	nonceLen      = 12
)

// halfName is a name to upload a under that nobody else uses.
func halfName(a release.Asset) string {
	return halfPrefix + strings.ToLower(rand.Text()[:nonceLen]) + "." + a.Name
}

// isHalf tells whether have is some run's whole replacement for a.
func (p *publisher) isHalf(a release.Asset, have asset) bool {
	rest, ok := strings.CutPrefix(have.Name, halfPrefix)
	return ok && len(rest) > nonceLen && rest[nonceLen:] == "."+a.Name &&
		have.State == stateUploaded && have.Size == a.Size && strings.EqualFold(have.Digest, "sha256:"+a.SHA256)
}

// placeOne gets one asset into the draft. It begins with what fill saw, and looks
// anew after each failure.
func (p *publisher) placeOne(ctx context.Context, draft *releaseDoc, a release.Asset, there []asset) error {
	first := true
	return p.retry(ctx, "asset "+a.Name, func(ctx context.Context) error {
		if !first {
			var err error
			if there, err = p.assets(ctx, draft); err != nil {
				return err
			}
		}
		first = false
		return p.step(ctx, draft, a, there)
	})
}

// step does what brings an asset into its place, given what is there.
func (p *publisher) step(ctx context.Context, draft *releaseDoc, a release.Asset, there []asset) error {
	have, half := find(there, a.Name), (*asset)(nil)
	for i := range there {
		if p.isHalf(a, there[i]) {
			half = &there[i]
		}
	}
	switch {
	case have == nil && half == nil:
		_, err := p.send(ctx, draft, a, a.Name)
		return err
	case have == nil:
		return p.rename(ctx, half, a)
	case have.State == stateUploaded:
		same, err := p.same(ctx, a, *have)
		if err != nil || same {
			return err
		}
		if err := p.deleteAsset(ctx, have.ID); err != nil {
			return err
		}
		_, err = p.send(ctx, draft, a, a.Name)
		return err
	case half == nil:
		if err := p.stillUnfinished(ctx, draft, have); err != nil {
			return err
		}
		var err error
		if half, err = p.send(ctx, draft, a, halfName(a)); err != nil {
			return err
		}
	}
	return p.replace(ctx, have, half, a)
}

// stillUnfinished makes sure, before a second upload of an asset begins, that the
// first is not through and its run about to publish: ours would become part of the
// release. That run looks once more, too (settled), so only a call of ours that
// takes longer than two of theirs could still come too late; what it leaves in a
// release that is not immutable the next run removes.
func (p *publisher) stillUnfinished(ctx context.Context, draft *releaseDoc, have *asset) error {
	now, err := p.releaseByID(ctx, draft.ID)
	switch {
	case status(err) == http.StatusNotFound, err == nil && !now.Draft:
		return errRestart
	case err != nil:
		return err
	}
	if a := find(now.Assets, have.Name); a != nil && a.State == stateUploaded {
		return again{errors.New("another run has just finished it")}
	}
	return nil
}

// replace puts a whole upload in the place of an unfinished one. Should that one
// be another run's and finish now, its run could verify and publish just before we
// delete it; so it waits for as long as it sees our upload (timing.fence), and we
// are through by then or leave off.
func (p *publisher) replace(ctx context.Context, unfinished, half *asset, a release.Asset) error {
	begin := time.Now()
	now, err := p.asset(ctx, unfinished.ID)
	switch {
	case status(err) == http.StatusNotFound:
		return p.rename(ctx, half, a)
	case err != nil:
		return err
	case now.State == stateUploaded:
		return p.deleteAsset(ctx, half.ID) // it has finished; the next look checks it
	case now.Name != a.Name:
		return again{errors.New("another run has put it in its place")}
	}
	ctx, cancel := context.WithDeadline(ctx, begin.Add(p.timing.fence/2))
	defer cancel()
	if err := p.deleteAsset(ctx, unfinished.ID); err != nil {
		return err
	}
	return p.rename(ctx, half, a)
}

func (p *publisher) rename(ctx context.Context, half *asset, a release.Asset) error {
	err := p.renameAsset(ctx, half.ID, a.Name)
	if status(err) == http.StatusNotFound || refused(err, "name", "already_exists") {
		return again{err} // another run did the same
	}
	return err
}

// same tells whether an uploaded asset is the planned one. GitHub computes the
// checksum of what it got; a server that does not is asked for the bytes.
func (p *publisher) same(ctx context.Context, a release.Asset, have asset) (bool, error) {
	if have.Size != a.Size {
		return false, nil
	}
	if have.Digest != "" {
		return strings.EqualFold(have.Digest, "sha256:"+a.SHA256), nil
	}
	if sum, ok := p.sums.Load(have.ID); ok {
		return strings.EqualFold(sum.(string), a.SHA256), nil
	}
	var sum hash.Hash
	err := p.retry(ctx, "read back asset "+a.Name, func(ctx context.Context) error {
		if now, err := p.asset(ctx, have.ID); err == nil && now.Digest != "" {
			have.Digest = now.Digest
			return nil
		}
		sum = sha256.New()
		return p.download(ctx, have.ID, sum)
	})
	if err != nil {
		return false, err
	}
	hexSum := strings.TrimPrefix(have.Digest, "sha256:")
	if have.Digest == "" {
		hexSum = hex.EncodeToString(sum.Sum(nil))
	}
	p.sums.Store(have.ID, hexSum)
	return strings.EqualFold(hexSum, a.SHA256), nil
}

// download writes an asset's bytes.
func (c *client) download(ctx context.Context, id int64, w io.Writer) error {
	ctx, watch := watched(ctx, c.timing.stall)
	defer watch.stop()
	req, err := c.gh.NewRequest(http.MethodGet, fmt.Sprintf("%s/releases/assets/%d", c.repo, id), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/octet-stream")
	_, err = c.gh.Do(ctx, req, io.MultiWriter(w, watch))
	return watch.cause(ctx, err)
}
