// Package validate is the stage that checks a config repository before anything
// is fetched or built: every file that a later stage would read is read by the
// same reader, and all that is wrong is told together. It needs neither
// privileges nor a network, and starts no program.
package validate

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/diag"
)

// Options says what to check.
type Options struct {
	Dir  string    // config repository; findings name files as they are found from it
	Arch arch.Arch // required

	// Variants are the variants to check, "" or "default" being the default one;
	// none: all that the config has.
	Variants []string
	// YumRepos is a directory with further .repo files, as beside the config in
	// a work directory; it may be missing.
	YumRepos string
	// Whole says that the config is all there is, as in a work directory. Else
	// it may be a part: what would come from elsewhere is only warned of.
	Whole bool
	// Now is the time that snoozed denylist entries are compared with; zero is
	// the present.
	Now time.Time
}

// Result is what Run found, ordered by place.
type Result struct {
	Findings []diag.Finding
}

// Errors counts the findings that stop a build or a test.
func (r Result) Errors() int { return r.count(diag.Error) }

// Warnings counts the other findings.
func (r Result) Warnings() int { return r.count(diag.Warning) }

func (r Result) count(s diag.Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// Run checks a config repository. Faults in its files are findings; an error
// means that there was nothing to check.
func Run(ctx context.Context, o Options) (Result, error) {
	if info, err := os.Stat(o.Dir); err != nil {
		return Result{}, fmt.Errorf("config repository: %w", err)
	} else if !info.IsDir() {
		return Result{}, fmt.Errorf("config repository: %s is not a directory", o.Dir)
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	c := &check{Options: o}
	if err := c.read(ctx); err != nil {
		return Result{}, err
	}
	// What is said about one file may depend on what another says.
	for _, compare := range []func(*diag.List){c.checkRepos, c.checkLayers, c.checkDenylist} {
		var found diag.List
		compare(&found)
		c.add(found.Findings)
	}
	return Result{Findings: ordered(c.found)}, ctx.Err()
}

// check is one run at work.
type check struct {
	Options
	found []diag.Finding

	every    bool // all variants of the config are checked
	variants []variant
	repos    repos
	overlays []overlay
	tests    tests
}

// read lets every reader read its files, on all cores; each has findings of its
// own, which are joined in a fixed order.
func (c *check) read(ctx context.Context) error {
	names, err := c.names()
	if err != nil {
		return err
	}
	c.variants = make([]variant, len(names))
	readers := []func(*diag.List) error{
		c.readObsolete, c.readPlatforms, c.readLockfiles, c.readRepos, c.readOverlays, c.readTests,
	}
	for i, name := range names {
		readers = append(readers, func(found *diag.List) error {
			c.variants[i] = c.readVariant(name, found)
			return nil
		})
	}
	lists := make([]diag.List, len(readers))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, reader := range readers {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return reader(&lists[i])
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, list := range lists {
		c.add(list.Findings)
	}
	return nil
}

func (c *check) add(findings []diag.Finding) { c.found = append(c.found, findings...) }

// path is a file of the config.
func (c *check) path(name string) string { return filepath.Join(c.Dir, name) }

// doubtful is the severity of what is missing here and may be elsewhere.
func (c *check) doubtful() diag.Severity {
	if c.Whole {
		return diag.Error
	}
	return diag.Warning
}

// ordered sorts findings by place and drops those that two variants have in
// common.
func ordered(findings []diag.Finding) []diag.Finding {
	slices.SortStableFunc(findings, func(a, b diag.Finding) int {
		return cmp.Or(
			cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column),
			cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Message, b.Message),
		)
	})
	return slices.Compact(findings)
}

// told adds what a reader's error says: its findings, or itself as one about the
// file.
func told(err error, file string, found *diag.List) {
	if findings := diag.Findings(err); findings != nil {
		found.Findings = append(found.Findings, findings...)
	} else if err != nil {
		found.Addf(diag.Pos{File: file}, "%v", reason(err))
	}
}
