package publish

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/google/go-github/v60/github"
)

const (
	attempts   = 8
	limitWaits = 30 // pauses that GitHub asked for do not count as attempts
)

// errCutShort is an answer that lacks what it must have.
var errCutShort = fmt.Errorf("the answer is incomplete: %w", io.ErrUnexpectedEOF)

// permanent is an error that trying again cannot mend.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// again is an error of ours that trying again may mend.
type again struct{ error }

func (a again) Unwrap() error { return a.error }

// retry repeats op, which is made of single calls, until it succeeds or fails in
// a way that stays. It keeps the pauses that GitHub asks for: they hold for all
// calls of the client.
func (c *client) retry(ctx context.Context, what string, op func(context.Context) error) error {
	pause, limits := c.timing.first, 0
	for attempt := 1; ; {
		if err := c.waitPaused(ctx); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		err := op(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
		if wait, limited := limitOf(err); limited && limits < limitWaits {
			limits++
			c.log.Notef("%s: GitHub limits the rate of requests; going on in %s", what, wait.Round(time.Second))
			c.pause(wait)
			continue
		}
		if attempt == attempts || !mendable(err) {
			return fmt.Errorf("%s: %w", what, err)
		}
		attempt++
		// Half of the pause is left to chance, so that parallel runs part.
		if err := sleep(ctx, max(pause/2+rand.N(pause/2+1), retryAfter(err))); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		pause = min(2*pause, c.timing.longest)
	}
}

// pause keeps all calls of this client back for a while.
func (c *client) pause(wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if until := time.Now().Add(wait); until.After(c.paused) {
		c.paused = until
	}
}

func (c *client) waitPaused(ctx context.Context) error {
	c.mu.Lock()
	wait := time.Until(c.paused)
	c.mu.Unlock()
	if wait <= 0 {
		return ctx.Err()
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait {
		return fmt.Errorf("GitHub limits the rate of requests for another %s, longer than there is time; run again later", wait.Round(time.Second))
	}
	return sleep(ctx, wait)
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// limitOf tells whether err is a rate limit, and how long GitHub wants to be left
// alone: Retry-After, else until the primary limit's reset, else one minute, as
// its documentation asks for secondary limits.
func limitOf(err error) (time.Duration, bool) {
	var (
		primary   *github.RateLimitError
		secondary *github.AbuseRateLimitError
		other     *github.ErrorResponse
	)
	switch {
	case errors.As(err, &primary):
		// A second more: the clocks differ.
		return max(time.Until(primary.Rate.Reset.Time), 0) + time.Second, true
	case errors.As(err, &secondary):
		if secondary.RetryAfter != nil {
			return *secondary.RetryAfter, true
		}
		return time.Minute, true
	case errors.As(err, &other):
		code := other.Response.StatusCode
		after := retryAfter(err)
		if code != http.StatusTooManyRequests && !(code == http.StatusForbidden && after > 0) {
			return 0, false
		}
		if after > 0 {
			return after, true
		}
		if reset, err := strconv.ParseInt(other.Response.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil && other.Response.Header.Get("X-RateLimit-Remaining") == "0" {
			return max(time.Until(time.Unix(reset, 0)), 0) + time.Second, true
		}
		return time.Minute, true
	}
	return 0, false
}

// retryAfter reads the header of that name, in seconds or as a date.
func retryAfter(err error) time.Duration {
	var r *github.ErrorResponse
	if !errors.As(err, &r) || r.Response == nil {
		return 0
	}
	value := r.Response.Header.Get("Retry-After")
	if n, err := strconv.Atoi(value); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

// mendable tells whether trying again may help: answers that say so, and
// connections and answers that broke.
func mendable(err error) bool {
	var (
		ours   again
		never  permanent
		answer *github.ErrorResponse
		cert   *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &ours):
		return true
	case errors.As(err, &never), errors.As(err, &cert), errors.Is(err, errRestart):
		return false
	case errors.As(err, &answer):
		code := answer.Response.StatusCode
		return code >= 500 || code == http.StatusRequestTimeout
	}
	return true
}

// status is the HTTP status of an error that GitHub answered with, else 0.
func status(err error) int {
	var r *github.ErrorResponse
	if errors.As(err, &r) && r.Response != nil {
		return r.Response.StatusCode
	}
	return 0
}

// refused tells whether GitHub found fault with one field, as in "already_exists"
// for "tag_name".
func refused(err error, field, code string) bool {
	var r *github.ErrorResponse
	if !errors.As(err, &r) || status(err) != http.StatusUnprocessableEntity {
		return false
	}
	for _, e := range r.Errors {
		if e.Code == code && e.Field == field {
			return true
		}
	}
	return false
}
