package configrepo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/lock"
	"github.com/nestos/nosa-actions/internal/rpmrepo"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Compose says where the packages of a compose come from.
type Compose struct {
	Cache     rpmrepo.Cache // that fetch has filled
	Overrides string        // directory of the developer's own packages; may be missing
	Scratch   string        // empty directory for the time of the call
	Strict    bool          // refuse packages that no lockfile names
}

// Packages are exactly the packages that a compose installs; their files are in
// Compose.Cache. Without overrides it is what fetch has recorded, with them that
// solved anew from the files at hand. It fails when the config asks for other
// packages than it did at the time of the fetch. It uses no network.
func (c *Config) Packages(ctx context.Context, r tool.Runner, from Compose) (*rpmrepo.Fetched, error) {
	fetched, err := from.Cache.Load()
	if errors.Is(err, rpmrepo.ErrNotFetched) {
		return nil, errors.New("must fetch before building; run nosa fetch")
	}
	if err != nil {
		return nil, err
	}
	digest, err := c.PackagesDigest()
	if err != nil {
		return nil, err
	}
	if digest != fetched.PackagesDigest {
		return nil, errors.New("the packages of the manifest have changed since the last fetch; run nosa fetch")
	}
	locks, err := c.LoadLocks(LockOptions{})
	if err != nil {
		return nil, err
	}
	if err := compliant(fetched, locks, from.Strict); err != nil {
		return nil, err
	}
	overrides, err := rpmrepo.Overrides(from.Overrides)
	if err != nil {
		return nil, err
	}
	if len(overrides) > 0 {
		return c.override(ctx, r, fetched, overrides, from)
	}
	if len(fetched.Packages) == 0 {
		return nil, errors.New("packages were fetched for a build with those in overrides/rpm, which are gone; run nosa fetch")
	}
	return fetched, nil
}

func (c *Config) override(ctx context.Context, r tool.Runner, fetched *rpmrepo.Fetched, overrides []string, from Compose) (*rpmrepo.Fetched, error) {
	req, err := c.Request(nil, false)
	if err != nil {
		return nil, err
	}
	req.Overrides, req.Scratch, req.Packages = overrides, from.Scratch, from.Cache.Packages()
	return fetched.Override(ctx, r, req)
}

// compliant holds what was fetched against the lockfiles as they are now: a lock
// that was changed since has to be fetched.
func compliant(fetched *rpmrepo.Fetched, locks *lock.File, strict bool) error {
	var found diag.List
	for _, p := range fetched.Packages {
		locked, ok := lock.Package{}, false
		if locks != nil {
			locked, ok = locks.Packages[p.Name]
		}
		if !ok {
			if strict {
				found.Add(diag.Finding{Message: fmt.Sprintf("package %s was fetched, but no lockfile names it", p.NEVRA()), Mend: "run nosa fetch --strict"})
			}
			continue
		}
		exact, err := locked.Exact()
		if err != nil {
			return fmt.Errorf("%s: %w", locked.Pos, err)
		}
		if want := solverVersion(exact); !slices.Contains([]string{p.EVR(), p.EVRA()}, want) {
			found.Add(diag.Finding{
				Pos:     locked.Pos,
				Message: fmt.Sprintf("the lockfile wants %s %s, but %s was fetched", p.Name, exact, p.EVRA()),
				Mend:    "run nosa fetch",
			})
		}
	}
	return found.Err()
}
