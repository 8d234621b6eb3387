package plan

import (
	"slices"
	"time"
)

// Sureness says how good the figures of a forecast are.
type Sureness string

// Kinds of sureness.
const (
	Measured Sureness = "measured" // sizes of the packages of an earlier run
	Derived  Sureness = "derived"  // from the number of packages in the lockfile
	Guessed  Sureness = "guessed"  // from the names in the manifest
)

// spread is how far the truth may lie off: packages differ much in size, and
// names bring others with them.
var spread = map[Sureness]struct{ low, high float64 }{
	Measured: {0.85, 1.25}, Derived: {0.5, 2}, Guessed: {0.3, 3},
}

// averagePackage is the size of a package file in bytes: 1.0 MB in the example of
// this repository, 1.4 MB in openEuler's NestOS, 1.9 MB in Fedora CoreOS.
const averagePackage = 1_400_000

// closure is how many packages a name in a manifest brings, itself included.
const closure = 2.2

// Pipeline is what a forecast is made from.
type Pipeline struct {
	Packages     int   // names in the lockfile; 0: there is none
	Wishes       int   // names in the manifest
	PackageBytes int64 // of all package files, from an earlier run; 0: unknown
	Platforms    []string
	Stages       []Stage // those that run in this job; empty: all
	Handoff      bool    // stages are jobs of their own
	Arches       int     // architectures that are built
	KVM          bool    // guests are not emulated
}

// Stage is a step of the pipeline.
type Stage string

// Stages in the order of the pipeline.
const (
	Fetch       Stage = "fetch"
	Build       Stage = "build"
	BuildExtend Stage = "buildextend"
	RunTest     Stage = "run-test"
)

var allStages = []Stage{Fetch, Build, BuildExtend, RunTest}

// Forecast is what a pipeline is going to need.
type Forecast struct {
	Sure      Sureness
	Packages  Range // bytes of package files
	Disk      Range // bytes, the most at a time, beside what is there
	Artifact  Range // bytes of all artifacts of the run
	Artifacts Range // number that one job uploads
	Jobs      Range // of the largest matrix
	Cache     Range // bytes that the caches of this config take
	Assets    Range // of a release
	Asset     Range // bytes of the largest one
	Time      Range // nanoseconds of the longest job

	// What is told of a run; how much that is only the run can tell.
	Summary, Comment, Annotations Range
}

// shares are sizes as multiples of the package files, measured with the example of
// this repository.
const (
	treeShare  = 3.2  // an unpacked tree
	objects    = 3.0  // what a compose leaves in tmp: unpacked packages, linked to objects
	ociShare   = 1.2  // the commit's container image
	imageShare = 3.1  // a disk image
	packShare  = 0.4  // a packed or compressed image, of the image
	liveShare  = 3.0  // the live ISO with what PXE serves
	guestBytes = 1e9  // what a guest under test writes
	baseTools  = 12e8 // host programs that a stage installs
)

// Foretell makes the forecast.
func Foretell(p Pipeline) Forecast {
	var f Forecast
	var kept Range // what the stages of one job leave
	f.Sure, f.Packages = p.packages()
	stages := p.Stages
	if len(stages) == 0 {
		stages = allStages
	}
	images := f.Packages.times(p.imageShares())
	for _, stage := range stages {
		part := p.part(stage, f.Packages, images)
		f.Time = f.Time.plus(part.time)
		if !p.Handoff {
			kept = kept.plus(part.leaves)
			f.Disk = f.Disk.max(kept.plus(part.scratch))
			continue
		}
		// What came from the job before is packed for a moment and then is not.
		f.Disk = f.Disk.max(part.needs.plus(part.leaves).plus(part.scratch.max(part.pack)))
		f.Artifact = f.Artifact.plus(part.pack.times(float64(p.arches())))
		if stage == BuildExtend {
			f.Jobs = Exactly(int64(len(p.Platforms) * p.arches()))
		}
	}
	f.Disk = f.Disk.plus(Exactly(baseTools))
	if p.Handoff {
		f.Artifacts = Exactly(1)
	}
	f.Cache = f.Packages.times(float64(cacheCopies * p.arches()))
	f.Assets = Exactly(int64(p.arches()*(7+p.files()) + 5))
	f.Asset = f.Packages.times(imageShare * packShare)
	return f
}

// part is what one stage needs: what must be there, what it leaves, what it takes
// for a while, what it hands on. Sizes are bytes.
type part struct{ needs, leaves, scratch, pack, time Range }

func (p Pipeline) part(stage Stage, packages, images Range) part {
	commit := packages.times(ociShare)
	switch stage {
	case Fetch:
		return part{leaves: packages, pack: packages, time: seconds(20).plus(perByte(packages, 30e6))}
	case Build:
		return part{
			needs: packages, leaves: packages.times(objects).plus(commit), scratch: packages, pack: commit,
			time: seconds(20).plus(perByte(packages, 5e6)),
		}
	case BuildExtend:
		return part{
			needs: commit, leaves: images, scratch: packages.times(treeShare + imageShare), pack: images.times(packShare),
			time: seconds(20).plus(perByte(images, 20e6)),
		}
	}
	return part{needs: commit.plus(images), scratch: Range{guestBytes / 5, guestBytes}, pack: Exactly(20e6), time: seconds(60).plus(p.boots())}
}

func (p Pipeline) packages() (Sureness, Range) {
	sure, bytes := Guessed, int64(float64(p.Wishes)*closure*averagePackage)
	switch {
	case p.PackageBytes > 0:
		sure, bytes = Measured, p.PackageBytes
	case p.Packages > 0:
		sure, bytes = Derived, int64(p.Packages)*averagePackage
	}
	s := spread[sure]
	return sure, Range{int64(float64(bytes) * s.low), int64(float64(bytes) * s.high)}
}

func (p Pipeline) arches() int { return max(1, p.Arches) }

func (p Pipeline) imageShares() float64 {
	sum := 0.0
	for _, platform := range p.Platforms {
		if platform == "live" {
			sum += liveShare
		} else {
			sum += imageShare
		}
	}
	return sum
}

// files are those that the platforms have; live has four.
func (p Pipeline) files() int {
	n := len(p.Platforms)
	if slices.Contains(p.Platforms, "live") {
		n += 3
	}
	return n
}

// boots is the time that tests take; an emulated guest takes some ten times as
// long.
func (p Pipeline) boots() Range {
	if p.KVM {
		return Range{int64(time.Minute), int64(20 * time.Minute)}
	}
	return Range{int64(2 * time.Minute), int64(90 * time.Minute)}
}

func seconds(n int64) Range { return Exactly(n * int64(time.Second)) }

// perByte is the time for a size at a rate in bytes a second, which a slow machine
// may take three times.
func perByte(size Range, rate float64) Range {
	r := size.times(float64(time.Second) / rate)
	return Range{r.Low / 2, r.High * 3}
}
