// Package publish puts a release on GitHub such that it is either not there or
// there as planned: a draft is filled and verified, and only then published.
// Immutable releases allow no other order, and with it a run may be broken off
// anywhere and started again. It is the home of go-github.
//
// Several runs may work at once. Those of the same plan share one draft; the
// others have each their own, and GitHub lets only one of them have the tag. See
// draft.go and place.go for how they keep out of each other's way.
package publish

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/release"
)

// Config says where GitHub is and who asks. Only Token has no default.
type Config struct {
	// BaseURL is the REST API, as in GITHUB_API_URL: that of github.com unless
	// set, https://HOST/api/v3 of an enterprise server.
	BaseURL string
	// UploadURL replaces scheme and host that the API itself names for uploads,
	// for those who reach it by way of a proxy.
	UploadURL string
	Token     string
	// HTTP replaces a client of our own, which uses HTTP/1.1 as parallel uploads
	// share no connection then.
	HTTP *http.Client
	// Parallel is how many assets are uploaded at once, 8 unless set.
	Parallel int
}

// Result is what came of it.
type Result struct {
	URL  string // page of the release
	ID   int64
	Tag  string
	Kept int // assets that were there already
	// Uploaded counts the assets that this run sent.
	Uploaded int
}

// errRestart means that the draft is gone or another run has published: look
// again from the beginning.
var errRestart = errors.New("the draft was taken away by another run")

// Publish makes the release that plan describes, or finds that it is there. It
// refuses a plan that GitHub could not take before it asks GitHub for anything,
// and never changes a release that has been published.
func Publish(ctx context.Context, log *progress.Log, cfg Config, plan release.Plan) (Result, error) {
	p, err := newPublisher(log, cfg, plan, defaultTiming)
	if err != nil {
		return Result{}, err
	}
	return p.publish(ctx)
}

// publisher is one run.
type publisher struct {
	*client
	plan     release.Plan
	mark     string
	parallel int
	tally    tally
	wary     atomic.Bool // an upload has failed: see sendFile
	sums     sync.Map    // checksum by asset id, of those GitHub has none of
}

func newPublisher(log *progress.Log, cfg Config, plan release.Plan, t timing) (*publisher, error) {
	if err := check(plan); err != nil {
		return nil, err
	}
	c, err := newClient(cfg, plan)
	if err != nil {
		return nil, err
	}
	c.timing, c.log = t, log
	p := &publisher{client: c, plan: plan, mark: marker(plan), parallel: cfg.Parallel}
	if p.parallel <= 0 {
		p.parallel = 8
	}
	return p, nil
}

// timing is how long things are waited for.
type timing struct {
	first   time.Duration // pause after the first failure; doubles
	longest time.Duration // of these pauses
	call    time.Duration // for one call without a body
	stall   time.Duration // without a byte on the way
	// fence is how long a run leaves another's finished upload alone before it
	// takes the other for dead. It is longer than a call: see replace.
	fence time.Duration
}

var defaultTiming = timing{first: time.Second, longest: time.Minute, call: 30 * time.Second, stall: 5 * time.Minute, fence: 2 * time.Minute}

// restarts bounds how often a run begins again because of another one.
const restarts = 5

func (p *publisher) publish(ctx context.Context) (Result, error) {
	var err error
	for range restarts {
		var res Result
		res, err = p.run(ctx)
		if err == nil {
			res.Uploaded, res.Kept = p.tally.count(len(p.plan.Assets))
			return res, nil
		}
		if !errors.Is(err, errRestart) {
			break
		}
		p.log.Notef("another run works on release %s; looking again", p.plan.Tag)
	}
	return Result{}, fmt.Errorf("publish release %s: %w", p.plan.Tag, p.explain(err))
}

// run goes once from finding out what there is to a published release.
func (p *publisher) run(ctx context.Context) (Result, error) {
	there, known, err := p.beforehand(ctx)
	if err != nil {
		return Result{}, err
	}
	if there != nil {
		if err := p.compare(ctx, there); err != nil {
			return Result{}, err
		}
		p.log.Notef("release %s is published and complete", p.plan.Tag)
		p.sweep(ctx, there.ID, known)
		return Result{URL: there.HTMLURL, ID: there.ID, Tag: p.plan.Tag}, nil
	}
	draft, made, err := p.draft(ctx, known)
	if err != nil {
		return Result{}, err
	}
	if made { // a new draft has no assets, nor need we ask
		if err := p.place(ctx, draft, p.plan.Assets, nil); err != nil {
			return Result{}, err
		}
	}
	for settled := false; !settled; {
		if err := p.fill(ctx, draft); err != nil {
			return Result{}, err
		}
		if settled, err = p.settled(ctx, draft); err != nil {
			return Result{}, err
		}
	}
	recent := make(chan []releaseDoc, 1)
	go func() { // sweep lists again should this fail
		all, _ := p.recent(ctx)
		recent <- all
	}()
	done, err := p.undraft(ctx, draft)
	known = <-recent
	if err != nil {
		return Result{}, err
	}
	p.sweep(ctx, done.ID, known)
	return Result{URL: done.HTMLURL, ID: done.ID, Tag: p.plan.Tag}, nil
}
