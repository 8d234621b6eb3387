package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/release"
)

// rounds bounds how often a draft is looked at and mended before it is given up.
const rounds = 20

// fill gives the draft exactly the assets of the plan. What makes it return is
// always a look that found nothing to do, and the tag still there.
func (p *publisher) fill(ctx context.Context, draft *releaseDoc) error {
	var fenced time.Time
	for range rounds {
		there, err := p.lookBesideTag(ctx, draft)
		if err != nil {
			return err
		}
		todo, err := p.todo(ctx, there)
		if err != nil {
			return err
		}
		if len(todo) > 0 {
			if err := p.place(ctx, draft, todo, there); err != nil {
				return err
			}
			continue
		}
		extra := p.extra(there)
		if len(extra) == 0 {
			return nil
		}
		if p.others(extra) {
			if fenced.IsZero() {
				fenced = time.Now().Add(p.timing.fence)
			}
			if time.Now().Before(fenced) {
				if err := sleep(ctx, p.timing.fence/rounds*2); err != nil {
					return err
				}
				continue
			}
		}
		if err := p.discard(ctx, extra); err != nil {
			return err
		}
	}
	return errors.New("the draft's assets do not settle: another run seems to change them; stop it and run again")
}

// settled makes sure that no other run has begun an upload since: listings lag
// behind, the release itself does not.
func (p *publisher) settled(ctx context.Context, draft *releaseDoc) (bool, error) {
	var now *releaseDoc
	err := p.retry(ctx, "look at the draft", func(ctx context.Context) (err error) {
		now, err = p.releaseByID(ctx, draft.ID)
		return err
	})
	switch {
	case status(err) == http.StatusNotFound, err == nil && !now.Draft:
		return false, errRestart
	case err != nil:
		return false, err
	}
	return len(p.extra(now.Assets)) == 0, nil
}

// place puts several assets into the draft at a time, the largest first: none of
// them is to be left for the end.
func (p *publisher) place(ctx context.Context, draft *releaseDoc, todo []release.Asset, there []asset) error {
	todo = slices.SortedStableFunc(slices.Values(todo), func(a, b release.Asset) int { return cmp.Compare(b.Size, a.Size) })
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(p.parallel)
	for _, a := range todo {
		group.Go(func() error { return p.placeOne(ctx, draft, a, there) })
	}
	return group.Wait()
}

// lookBesideTag is look, and makes sure that the tag is still there: uploads take
// their time.
func (p *publisher) lookBesideTag(ctx context.Context, draft *releaseDoc) (there []asset, err error) {
	err = p.besideTag(ctx, func(ctx context.Context) (err error) {
		there, err = p.look(ctx, draft)
		return err
	})
	return there, err
}

// look lists the assets of the draft.
func (p *publisher) look(ctx context.Context, draft *releaseDoc) (there []asset, err error) {
	err = p.retry(ctx, "list the assets", func(ctx context.Context) error {
		there, err = p.assets(ctx, draft)
		return err
	})
	return there, err
}

// assets is look without patience.
func (p *publisher) assets(ctx context.Context, r *releaseDoc) ([]asset, error) {
	all, err := pages[asset](ctx, p.client, fmt.Sprintf("/releases/%d/assets", r.ID), maxAssets/50)
	if status(err) == http.StatusNotFound {
		return nil, errRestart
	}
	return all, err
}

// todo lists the planned assets that are not there as planned.
func (p *publisher) todo(ctx context.Context, there []asset) ([]release.Asset, error) {
	var todo []release.Asset
	for _, a := range p.plan.Assets {
		have := find(there, a.Name)
		if have == nil || have.State != stateUploaded {
			todo = append(todo, a)
			continue
		}
		same, err := p.same(ctx, a, *have)
		if err != nil {
			return nil, err
		}
		if !same {
			todo = append(todo, a)
		}
	}
	return todo, nil
}

// extra lists what is not in the plan.
func (p *publisher) extra(there []asset) []asset {
	planned := map[string]bool{}
	for _, a := range p.plan.Assets {
		planned[a.Name] = true
	}
	var extra []asset
	for _, have := range there {
		if !planned[have.Name] {
			extra = append(extra, have)
		}
	}
	return extra
}

// others tells whether a run is about to put a finished upload in its place: see
// replace.
func (p *publisher) others(extra []asset) bool {
	for _, have := range extra {
		if have.State == stateUploaded && strings.HasPrefix(have.Name, halfPrefix) {
			return true
		}
	}
	return false
}

func (p *publisher) discard(ctx context.Context, extra []asset) error {
	for _, have := range extra {
		err := p.retry(ctx, "remove asset "+have.Name, func(ctx context.Context) error {
			return p.deleteAsset(ctx, have.ID)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// compare holds a published release against the plan.
func (p *publisher) compare(ctx context.Context, r *releaseDoc) error {
	there := r.Assets
	todo, err := p.todo(ctx, there)
	if err == nil && len(todo) > 0 { // the release itself may not name all of them
		if there, err = p.look(ctx, r); err == nil {
			todo, err = p.todo(ctx, there)
		}
	}
	if err != nil {
		return err
	}
	if len(todo) == 0 {
		return p.discardHalves(ctx, r, there)
	}
	var faults []string
	for _, a := range todo {
		switch have := find(there, a.Name); {
		case have == nil:
			faults = append(faults, a.Name+" is missing")
		default:
			faults = append(faults, fmt.Sprintf("%s has %d bytes, %s, and not %d bytes, sha256:%s", a.Name, have.Size, orElse(have.Digest, have.State), a.Size, a.SHA256))
		}
	}
	mend := "delete the release, if nobody has it yet, or publish under a new tag"
	if r.Immutable {
		mend = "it is immutable; publish under a new tag"
	}
	return permanent{fmt.Errorf("%s is published with other assets: %s; a published release is never changed: %s", r.HTMLURL, strings.Join(faults, "; "), mend)}
}

// discardHalves removes unfinished uploads that a run too late began in a release
// already published.
func (p *publisher) discardHalves(ctx context.Context, r *releaseDoc, there []asset) error {
	if r.Immutable {
		return nil
	}
	var halves []asset
	for _, have := range there {
		if strings.HasPrefix(have.Name, halfPrefix) {
			halves = append(halves, have)
		}
	}
	return p.discard(ctx, halves)
}

func find(there []asset, name string) *asset {
	for i := range there {
		if there[i].Name == name {
			return &there[i]
		}
	}
	return nil
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

// tally counts what this run sent.
type tally struct {
	mu   sync.Mutex
	sent map[string]bool
}

func (t *tally) add(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sent == nil {
		t.sent = map[string]bool{}
	}
	t.sent[name] = true
}

func (t *tally) count(planned int) (sent, kept int) {
	return len(t.sent), planned - len(t.sent)
}
