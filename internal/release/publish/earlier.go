package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/format/streammeta"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/release"
)

// maxMetadata bounds what is downloaded of an earlier release, in bytes.
const maxMetadata = 64 << 20

// FetchEarlier downloads assets of the release before that of plan into dir:
// those that keep names, of the newest published release that has one. For a
// release that is no prerelease, only such are looked at. It returns the tag, or
// "" if there is no release before.
func FetchEarlier(ctx context.Context, log *progress.Log, cfg Config, plan release.Plan, keep func(name string) bool, dir string) (string, error) {
	c, err := newClient(cfg, plan)
	if err != nil {
		return "", err
	}
	c.timing, c.log = defaultTiming, log
	var all []releaseDoc
	err = c.retry(ctx, "look for the release before", func(ctx context.Context) error {
		var err error
		all, err = pages[releaseDoc](ctx, c, "/releases", 1)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("releases of %s/%s: %w", plan.Owner, plan.Repo, err)
	}
	wanted := func(a asset) bool { return keep(a.Name) && a.State == "uploaded" }
	// What was published after it is not before it, also when it runs again.
	if own := slices.IndexFunc(all, func(r releaseDoc) bool { return r.Tag == plan.Tag && !r.Draft }); own >= 0 {
		all = all[own+1:]
	}
	for _, r := range all {
		if r.Draft || r.Tag == plan.Tag || r.Prerelease && !plan.Prerelease || !slices.ContainsFunc(r.Assets, wanted) {
			continue
		}
		for _, a := range r.Assets {
			if !wanted(a) {
				continue
			}
			if err := c.fetch(ctx, plan, a, dir); err != nil {
				return "", fmt.Errorf("release %s: asset %s: %w", r.Tag, a.Name, err)
			}
		}
		return r.Tag, nil
	}
	return "", nil
}

// fetch downloads an asset of metadata and verifies it.
func (c *client) fetch(ctx context.Context, plan release.Plan, a asset, dir string) error {
	if filepath.Base(a.Name) != a.Name || a.Size > maxMetadata {
		return fmt.Errorf("%q of %d bytes is no metadata", a.Name, a.Size)
	}
	return c.retry(ctx, "download it", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, c.timing.stall)
		defer cancel()
		body, _, err := c.gh.Repositories.DownloadReleaseAsset(ctx, plan.Owner, plan.Repo, a.ID, http.DefaultClient)
		if err != nil {
			return err
		}
		defer body.Close()
		data, err := io.ReadAll(io.LimitReader(body, maxMetadata))
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		if want, ok := strings.CutPrefix(a.Digest, "sha256:"); int64(len(data)) != a.Size || ok && want != hex.EncodeToString(sum[:]) {
			return again{errors.New("what came is not what GitHub has")}
		}
		if err := os.WriteFile(filepath.Join(dir, a.Name), data, 0o644); err != nil {
			return permanent{err}
		}
		return nil
	})
}

// Retain removes the oldest published prereleases that this package made, until
// keep are left; that of plan stays. Their tags stay too. It returns the tags of
// those it removed.
func Retain(ctx context.Context, log *progress.Log, cfg Config, plan release.Plan, keep int) ([]string, error) {
	c, err := newClient(cfg, plan)
	if err != nil {
		return nil, err
	}
	c.timing, c.log = defaultTiming, log
	var all []releaseDoc
	err = c.retry(ctx, "list the releases", func(ctx context.Context) error {
		var err error
		all, err = pages[releaseDoc](ctx, c, "/releases", 10)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("remove old prereleases: %w", err)
	}
	var removed []string
	for _, r := range all { // the newest first
		if r.Draft || !r.Prerelease || !slices.ContainsFunc(r.Assets, func(a asset) bool { return a.Name == streammeta.AssetsName }) {
			continue
		}
		if keep--; keep >= 0 || r.Tag == plan.Tag {
			continue
		}
		err := c.retry(ctx, "remove prerelease "+r.Tag, func(ctx context.Context) error {
			err := c.deleteRelease(ctx, r.ID)
			if status(err) == http.StatusNotFound {
				return nil
			}
			return err
		})
		if err != nil {
			return removed, err
		}
		removed = append(removed, r.Tag)
	}
	return removed, nil
}
