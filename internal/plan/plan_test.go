package plan

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Each limit is tripped by one more than it allows, and by nothing less.
func TestEachLimitTripsJustAboveItself(t *testing.T) {
	const disk = 20e9
	room := Room{Disk: disk, Hosted: true, Release: true}
	for what, c := range map[string]struct {
		limit   int64
		set     func(*Forecast, Range)
		verdict Verdict
	}{
		"disk of the runner":        {disk, func(f *Forecast, r Range) { f.Disk = r }, Refused},
		"time of a job":             {int64(6 * time.Hour), func(f *Forecast, r Range) { f.Time = r }, Refused},
		"artifacts of a job":        {500, func(f *Forecast, r Range) { f.Artifacts = r }, Refused},
		"jobs of a matrix":          {256, func(f *Forecast, r Range) { f.Jobs = r }, Refused},
		"caches of the repository":  {10_000_000_000, func(f *Forecast, r Range) { f.Cache = r }, Cut},
		"assets of a release":       {1000, func(f *Forecast, r Range) { f.Assets = r }, Refused},
		"size of an asset":          {2_147_483_647, func(f *Forecast, r Range) { f.Asset = r }, Cut},
		"job summary of a step":     {1_048_576, func(f *Forecast, r Range) { f.Summary = r }, Cut},
		"comment on a pull request": {65_536, func(f *Forecast, r Range) { f.Comment = r }, Cut},
		"annotations of one kind":   {10, func(f *Forecast, r Range) { f.Annotations = r }, Cut},
	} {
		for over, want := range map[int64]Verdict{-1: Fits, 0: Fits, 1: c.verdict} {
			var f Forecast
			c.set(&f, Exactly(c.limit+over))
			found := false
			for _, l := range Check(f, room) {
				if l.What != what {
					require.Equal(t, Fits, l.Verdict, "%s while %s is at %d", l.What, what, c.limit+over)
					continue
				}
				found = true
				require.Equal(t, want, l.Verdict, "%s at %d", what, c.limit+over)
				require.Equal(t, want != Fits, l.Mend != "", "%s at %d", what, c.limit+over)
			}
			require.True(t, found, what)
		}
	}
	require.Len(t, Check(Forecast{}, room), 10, "a limit without a test")
}

func TestOnlyWhatIsCertainIsRefused(t *testing.T) {
	f := Forecast{Disk: Range{19e9, 21e9}, Assets: Exactly(1001)}
	verdicts := map[string]Line{}
	for _, l := range Check(f, Room{Disk: 20e9}) {
		verdicts[l.What] = l
	}
	require.Equal(t, Tight, verdicts["disk of the runner"].Verdict)
	require.Equal(t, "disk of the runner: 19 GB to 21 GB foretold, 20 GB allowed", verdicts["disk of the runner"].String())
	require.Equal(t, Tight, verdicts["assets of a release"].Verdict, "the run does not release")
}

func TestRunnersOfOnesOwnMayTakeDays(t *testing.T) {
	f := Forecast{Time: Exactly(int64(7 * time.Hour))}
	require.Equal(t, Refused, Check(f, Room{Hosted: true})[1].Verdict)
	require.Equal(t, Fits, Check(f, Room{})[1].Verdict)
	f.Time = Exactly(int64(5*24*time.Hour + 1))
	require.Equal(t, Refused, Check(f, Room{})[1].Verdict)
}

func TestTheMendOfAFullDiskIsOneThatHelps(t *testing.T) {
	f := Forecast{Disk: Exactly(30e9)}
	require.Equal(t, "set free-disk-space: 'true', which frees some 20 GB", Check(f, Room{Disk: 15e9, Freeable: 20e9, Hosted: true})[0].Mend)
	for _, r := range []Room{{Disk: 5e9, Freeable: 20e9, Hosted: true}, {Disk: 15e9, Freeable: 20e9}, {Disk: 15e9, Hosted: true}} {
		require.Equal(t, "divide the platforms among jobs, or take a runner with a larger disk", Check(f, r)[0].Mend)
	}
}

// The example of this repository: 216 packages of 186 MB gave an archive of 220 MB
// and a qemu image of 576 MB, and left a work directory of 1.5 GB. What it takes for a
// while lies between that and the double.
func TestTheForecastOfTheExampleHolds(t *testing.T) {
	const packages, left, archive, image = 186e6, 1.5e9, 220e6, 576e6
	p := Pipeline{Packages: 216, Wishes: 90, Platforms: []string{"qemu"}}
	for _, sure := range []Sureness{Guessed, Derived, Measured} {
		if sure == Derived {
			p.Wishes = 0
		}
		if sure == Guessed {
			p.Packages = 0
		} else {
			p.Packages = 216
		}
		if sure == Measured {
			p.PackageBytes = packages
		}
		f := Foretell(p)
		require.Equal(t, sure, f.Sure)
		holds(t, f.Packages, packages)
		require.GreaterOrEqual(t, f.Disk.High, int64(left+baseTools))
		require.LessOrEqual(t, f.Disk.Low, int64(2*left+baseTools))
		holds(t, f.Packages.times(ociShare), archive)
		holds(t, f.Packages.times(imageShare), image)
	}
}

func holds(t *testing.T, r Range, n float64) {
	t.Helper()
	require.LessOrEqual(t, float64(r.Low), n, "%v", r)
	require.GreaterOrEqual(t, float64(r.High), n, "%v", r)
}

func TestJobsOfTheirOwnNeedLessDiskAndMoreArtifacts(t *testing.T) {
	p := Pipeline{PackageBytes: 1e9, Platforms: []string{"qemu", "metal", "live"}, Arches: 2}
	one := Foretell(p)
	p.Handoff = true
	many := Foretell(p)
	require.Less(t, many.Disk.High, one.Disk.High)
	require.Zero(t, one.Artifact.High)
	require.Positive(t, many.Artifact.Low)
	require.Equal(t, Exactly(6), many.Jobs)
	require.Equal(t, one.Assets, many.Assets)
	p.Stages = []Stage{Fetch}
	require.Less(t, Foretell(p).Disk.High, many.Disk.High)
}

func TestPackagesAreCachedWhileTwoCopiesFit(t *testing.T) {
	for arches, most := range map[int]int64{0: 5e9, 1: 5e9, 2: 2.5e9} {
		require.True(t, Cacheable(most-1, arches))
		require.True(t, Cacheable(most, arches))
		require.False(t, Cacheable(most+1, arches))
	}
}

func TestArchitecturesShareCachesArtifactsAndARelease(t *testing.T) {
	p := Pipeline{PackageBytes: 1e9, Platforms: []string{"qemu", "metal"}, Handoff: true}
	one := Foretell(p)
	p.Arches = 2
	two := Foretell(p)
	require.Equal(t, one.Cache.times(2), two.Cache)
	require.Equal(t, one.Artifact.times(2), two.Artifact)
	require.Equal(t, one.Jobs.times(2), two.Jobs)
	require.Equal(t, Exactly(9), Range{two.Assets.Low - one.Assets.Low, two.Assets.High - one.Assets.High}, "images and records of the second")
	require.Equal(t, one.Disk, two.Disk, "each has a machine of its own")
}

func TestATableSaysWhatIsNotKnown(t *testing.T) {
	f := Foretell(Pipeline{PackageBytes: 1e9, Platforms: []string{"qemu"}})
	table := Table(f, Check(f, Room{Disk: 14e9, Hosted: true}))
	require.Contains(t, table, "packages 850 MB to 1.25 GB (measured)")
	require.Regexp(t, `comment on a pull request +not known before +65536 +fits`, table)
}
