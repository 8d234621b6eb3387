package publish

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/release/publish/githubtest"
)

// faults are the ways to fail that a run gets over by itself.
var faults = map[string]func() *githubtest.Fault{
	"500":      func() *githubtest.Fault { return &githubtest.Fault{Status: 500, Message: "Server Error"} },
	"502":      func() *githubtest.Fault { return &githubtest.Fault{Status: 502, Message: "Bad Gateway", Starter: true} },
	"reset":    func() *githubtest.Fault { return &githubtest.Fault{Reset: true} },
	"lost":     func() *githubtest.Fault { return &githubtest.Fault{Lost: true} },
	"truncate": func() *githubtest.Fault { return &githubtest.Fault{Truncate: true} },
	"slow":     func() *githubtest.Fault { return &githubtest.Fault{Slow: 30 * time.Millisecond} },
	"corrupt":  func() *githubtest.Fault { return &githubtest.Fault{Corrupt: true} },
	"primary":  func() *githubtest.Fault { return githubtest.RateLimited(time.Now().Add(-2 * time.Second)) },
}

func TestEachFaultAtEachCallIsGotOver(t *testing.T) {
	githubtest.NeedDescription(t)
	plan := samplePlan(t, 2)
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				s := githubtest.New(t, githubtest.Options{Check: never(plan), Immutable: n%2 == 0})
				s.Fail(func(c githubtest.Call) *githubtest.Fault {
					// A limit stops all for a second; it is tried where it matters.
					if c.N == n && (name != "primary" || n%4 == 1) {
						return fault()
					}
					return nil
				})
				_, err := run(t, t.Context(), s, plan)
				require.NoError(t, err, "call %d", n)
				requireOne(t, s, plan)
				if len(s.Calls()) < n {
					return // beyond the last call
				}
			}
		})
	}
}

// A listing may lag behind an asset of the same name: the name is looked at anew.
func TestANameThatIsTakenIsLookedAtAgain(t *testing.T) {
	githubtest.NeedDescription(t)
	plan := samplePlan(t, 3)
	for refused := 1; refused <= len(plan.Assets); refused++ {
		s := githubtest.New(t, githubtest.Options{Check: never(plan), Immutable: true})
		var uploads atomic.Int32
		s.Fail(func(c githubtest.Call) *githubtest.Fault {
			if c.Operation == "repos/upload-release-asset" && int(uploads.Add(1)) <= refused {
				return githubtest.NameTaken()
			}
			return nil
		})
		_, err := run(t, t.Context(), s, plan)
		require.NoError(t, err)
		requireOne(t, s, plan)
	}
}

func TestANameThatStaysTakenIsToldAndNothingPublished(t *testing.T) {
	plan := samplePlan(t, 1)
	s := githubtest.New(t, githubtest.Options{Check: never(plan)})
	s.Fail(func(c githubtest.Call) *githubtest.Fault {
		if c.Operation == "repos/upload-release-asset" {
			return githubtest.NameTaken()
		}
		return nil
	})
	_, err := run(t, t.Context(), s, plan)
	require.ErrorContains(t, err, "asset "+plan.Assets[0].Name)
	require.ErrorContains(t, err, "the name is taken")
	require.True(t, s.Releases()[0].Draft)
}

func TestMixesOfFaultsEndInOneRelease(t *testing.T) {
	plan := samplePlan(t, 6)
	names := []string{"500", "502", "reset", "lost", "truncate", "corrupt"}
	for seed := range 40 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := githubtest.New(t, githubtest.Options{Check: never(plan), Lag: 3 * time.Millisecond})
			var mu sync.Mutex
			random := rng(seed)
			s.Fail(func(githubtest.Call) *githubtest.Fault {
				mu.Lock()
				defer mu.Unlock()
				if random.IntN(5) > 0 {
					return nil
				}
				return faults[names[random.IntN(len(names))]]()
			})
			for try := 0; ; try++ { // a person would run it again, too
				if _, err := run(t, t.Context(), s, plan); err == nil {
					break
				}
				require.Less(t, try, 5)
			}
			s.Fail(nil)
			time.Sleep(5 * time.Millisecond)       // the listing catches up
			_, err := run(t, t.Context(), s, plan) // removes a second draft, if a listing hid one
			require.NoError(t, err)
			requireOne(t, s, plan)
		})
	}
}

// errCrash stands for the end of the process.
var errCrash = errors.New("crash")

func TestACrashAtAnyCallEndsAfterARerunInOneRelease(t *testing.T) {
	githubtest.NeedDescription(t)
	plan := samplePlan(t, 3)
	for name, fault := range map[string]func(stop func()) *githubtest.Fault{
		"before": func(stop func()) *githubtest.Fault { return &githubtest.Fault{Do: stop, Reset: true} },
		"after":  func(stop func()) *githubtest.Fault { return &githubtest.Fault{Then: stop, Lost: true} },
	} {
		for _, immutable := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/immutable=%v", name, immutable), func(t *testing.T) {
				t.Parallel()
				crash := func(s *githubtest.Server, n int) error {
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					s.Forget()
					s.Fail(func(c githubtest.Call) *githubtest.Fault {
						if c.N == n {
							return fault(func() { cancel(errCrash) })
						}
						return nil
					})
					defer s.Fail(nil)
					_, err := run(t, ctx, s, plan)
					return err
				}
				for n := 1; ; n++ {
					s := githubtest.New(t, githubtest.Options{Check: never(plan), Immutable: immutable})
					if err := crash(s, n); err == nil && len(s.Calls()) < n {
						break // beyond the last call
					}
					// The rerun is stopped too, a little later each time.
					if n%3 == 0 {
						_ = crash(s, n/2+1)
					}
					_, err := run(t, t.Context(), s, plan)
					require.NoError(t, err, "crash at call %d", n)
					requireOne(t, s, plan)
				}
			})
		}
	}
}

func TestTwoRunsAtOnceMakeOneRelease(t *testing.T) {
	plan := samplePlan(t, 6)
	for seed := range 40 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rng(seed)
			s := githubtest.New(t, githubtest.Options{
				Check: never(plan), Immutable: seed%2 == 0,
				Latency: time.Duration(random.IntN(3)) * time.Millisecond, Lag: time.Duration(random.IntN(8)) * time.Millisecond,
			})
			if seed%4 > 1 { // a draft of a dead run, with unfinished uploads
				s.Add(githubtest.Release{Tag: "v1", Draft: true, Body: marker(plan), Assets: []githubtest.Asset{
					{Name: plan.Assets[1].Name, State: "starter"}, {Name: plan.Assets[4].Name, State: "starter"},
				}})
			}
			var wg sync.WaitGroup
			begin := time.Duration(random.IntN(20)) * time.Millisecond
			for i := range 2 {
				wg.Go(func() {
					time.Sleep(time.Duration(i) * begin)
					_, err := run(t, t.Context(), s, plan)
					require.NoError(t, err)
				})
			}
			wg.Wait()
			time.Sleep(10 * time.Millisecond) // the listing catches up
			_, err := run(t, t.Context(), s, plan)
			require.NoError(t, err)
			requireOne(t, s, plan)
		})
	}
}

func TestOfTwoPlansForOneTagOneIsPublishedWhole(t *testing.T) {
	plan, other := samplePlan(t, 4), samplePlan(t, 4)
	other.Assets[0].Name = "other-build.img"
	s := githubtest.New(t, githubtest.Options{Latency: time.Millisecond, Immutable: true})
	errs := make([]error, 2)
	var wg sync.WaitGroup
	wg.Go(func() { _, errs[0] = run(t, t.Context(), s, plan) })
	wg.Go(func() { _, errs[1] = run(t, t.Context(), s, other) })
	wg.Wait()

	require.True(t, (errs[0] == nil) != (errs[1] == nil), errs)
	if errs[0] != nil {
		plan = other
		errs[1] = errs[0]
	}
	require.ErrorContains(t, errs[1], "is published with other assets")
	_, err := run(t, t.Context(), s, plan)
	require.NoError(t, err)
	requireOne(t, s, plan)
}

func TestLimitsAreWaitedForOnceForAllUploads(t *testing.T) {
	for _, code := range []int{http.StatusForbidden, http.StatusTooManyRequests} {
		plan := samplePlan(t, 6)
		s := githubtest.New(t, githubtest.Options{})
		var first sync.Once
		var begin time.Time
		var early atomic.Int32
		s.Fail(func(c githubtest.Call) *githubtest.Fault {
			var fault *githubtest.Fault
			if c.Operation == "repos/upload-release-asset" {
				first.Do(func() {
					begin = time.Now()
					fault = githubtest.SecondaryLimited(code, time.Second)
				})
			} else if !begin.IsZero() && time.Since(begin) < 900*time.Millisecond {
				early.Add(1)
			}
			return fault
		})
		_, err := run(t, t.Context(), s, plan)
		require.NoError(t, err)
		requireOne(t, s, plan)
		require.Zero(t, early.Load(), "calls while GitHub wanted none")
		require.GreaterOrEqual(t, time.Since(begin), time.Second)
	}
}

func TestALimitLongerThanTheTimeLeftIsToldAtOnce(t *testing.T) {
	plan := samplePlan(t, 1)
	s := githubtest.New(t, githubtest.Options{})
	s.Fail(func(githubtest.Call) *githubtest.Fault { return githubtest.RateLimited(time.Now().Add(time.Hour)) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	begin := time.Now()
	_, err := run(t, ctx, s, plan)

	require.ErrorContains(t, err, "longer than there is time; run again later")
	require.Less(t, time.Since(begin), 5*time.Second)
}

func TestAServerThatKeepsFailingIsGivenUp(t *testing.T) {
	plan := samplePlan(t, 1)
	s := githubtest.New(t, githubtest.Options{})
	s.Fail(func(githubtest.Call) *githubtest.Fault { return &githubtest.Fault{Status: 503, Message: "Unicorn"} })
	_, err := run(t, t.Context(), s, plan)
	require.ErrorContains(t, err, "Unicorn")
	asked := map[string]int{}
	for _, c := range s.Calls() {
		asked[c.Operation]++
		require.Equal(t, http.MethodGet, c.Method)
		require.LessOrEqual(t, asked[c.Operation], attempts)
	}
	require.Equal(t, attempts, asked["repos/get-release-by-tag"])
}

func TestAnUploadThatStandsStillIsSentAgain(t *testing.T) {
	plan := samplePlan(t, 1)
	s := githubtest.New(t, githubtest.Options{})
	over := make(chan struct{})
	var stood atomic.Bool
	s.Fail(func(c githubtest.Call) *githubtest.Fault {
		if c.Operation == "repos/upload-release-asset" && stood.CompareAndSwap(false, true) {
			<-over
		}
		return nil
	})
	p, err := newPublisher(nil, Config{BaseURL: s.URL, Token: githubtest.Token}, plan, quick)
	require.NoError(t, err)
	p.client.timing.stall = 200 * time.Millisecond
	_, err = p.publish(t.Context())
	close(over)
	require.NoError(t, err)
	requireOne(t, s, plan)
}

func TestAnUntrustedCertificateIsNotTriedAgain(t *testing.T) {
	plan := samplePlan(t, 1)
	s := githubtest.New(t, githubtest.Options{Serve: httptest.NewTLSServer})
	begin := time.Now()
	_, err := run(t, t.Context(), s, plan)
	var cert *tls.CertificateVerificationError
	require.ErrorAs(t, err, &cert)
	require.Less(t, time.Since(begin), time.Second)
}
