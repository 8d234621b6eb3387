// Package plan foretells what a pipeline will need and holds it against the limits
// of the runner and of GitHub, before any work is done. It computes and does
// nothing else.
package plan

import (
	"fmt"
	"time"
)

// Limits of GitHub, from its documentation on Actions limits, on dependency
// caching and on releases.
const (
	MaxArtifacts    = 500       // of one job
	MaxCache        = 10e9      // bytes of all caches of a repository
	MaxAssets       = 1000      // of one release
	MaxAsset        = 1<<31 - 1 // bytes of one asset: "under 2 GiB"
	MaxMatrix       = 256       // jobs of one matrix
	MaxSummary      = 1 << 20   // bytes of one step's job summary
	MaxComment      = 65536     // characters of a comment
	MaxAnnotations  = 10        // of one kind and step
	MaxHostedJob    = 6 * time.Hour
	MaxOwnRunnerJob = 5 * 24 * time.Hour
)

// cacheCopies is how often the cache of a repository must hold packages to be of use:
// those of a branch, and those of a pull request.
const cacheCopies = 2

// Cacheable tells whether packages of so many bytes may be saved in the cache of a
// repository, as often as there are architectures. More would push out one another,
// and what else lies there.
func Cacheable(packages int64, arches int) bool {
	return cacheCopies*packages*int64(max(1, arches)) <= MaxCache
}

// Verdict says how a forecast stands to a limit.
type Verdict string

// Verdicts, from good to bad.
const (
	Fits    Verdict = "fits"
	Cut     Verdict = "cut"     // what is too much is left out, and that is said
	Tight   Verdict = "tight"   // it may not fit; how sure the forecast is decides
	Refused Verdict = "refused" // it cannot end well
)

// Disk is the limit that is the machine's and not GitHub's.
const Disk = "disk of the runner"

// Line is one limit and what is foretold for it.
type Line struct {
	What    string
	Need    Range
	Limit   int64
	Unit    Unit
	Verdict Verdict
	Mend    string // for verdicts other than Fits
}

// String says what is wrong, for people.
func (l Line) String() string {
	return fmt.Sprintf("%s: %s foretold, %s allowed", l.What, l.Need.Text(l.Unit), l.Unit.Text(l.Limit))
}

// Room is what the runner and the run allow.
type Room struct {
	Disk    int64 // free bytes where the work directory is
	Hosted  bool  // a runner of GitHub's
	Release bool  // the run is going to release
	// Freeable is what could be removed from the disk on request, in bytes.
	Freeable int64
}

// Check holds a forecast against all limits. A limit is broken for certain, and
// the pipeline refused, where even the least that is foretold is too much.
func Check(f Forecast, r Room) []Line {
	longest := int64(MaxOwnRunnerJob)
	if r.Hosted {
		longest = int64(MaxHostedJob)
	}
	release := Tight
	if r.Release {
		release = Refused
	}
	return []Line{
		line(Disk, f.Disk, r.Disk, Bytes, Refused, diskMend(f, r)),
		line("time of a job", f.Time, longest, Duration, Refused, "divide the platforms and tests among jobs, or take a faster runner"),
		line("artifacts of a job", f.Artifacts, MaxArtifacts, Count, Refused, "make images of several platforms in one job"),
		line("jobs of a matrix", f.Jobs, MaxMatrix, Count, Refused, "make images of several platforms in one job"),
		line("caches of the repository", f.Cache, MaxCache, Bytes, Cut, "it is not cached; set cache: 'false' to keep what other caches there are, or remove packages"),
		line("assets of a release", f.Assets, MaxAssets, Count, release, "release fewer platforms, or each architecture by itself"),
		line("size of an asset", f.Asset, MaxAsset, Bytes, Cut, "it is divided into parts, which assets.json of the release names"),
		line("job summary of a step", f.Summary, MaxSummary, Bytes, Cut, "the rest is in the log and the artifacts"),
		line("comment on a pull request", f.Comment, MaxComment, Characters, Cut, "the rest is in the job summary"),
		line("annotations of one kind", f.Annotations, MaxAnnotations, Count, Cut, "the rest is in the job summary"),
	}
}

func line(what string, need Range, limit int64, unit Unit, broken Verdict, mend string) Line {
	l := Line{What: what, Need: need, Limit: limit, Unit: unit, Verdict: Fits}
	switch {
	case need.Low > limit:
		l.Verdict, l.Mend = broken, mend
	case need.High > limit:
		l.Verdict, l.Mend = Tight, mend
		if broken == Cut {
			l.Verdict = Cut
		}
	}
	return l
}

func diskMend(f Forecast, r Room) string {
	if r.Hosted && r.Freeable > 0 && f.Disk.Low <= r.Disk+r.Freeable {
		return fmt.Sprintf("set free-disk-space: 'true', which frees some %s", Bytes.Text(r.Freeable))
	}
	return "divide the platforms among jobs, or take a runner with a larger disk"
}
