package job

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/format/document"
	"github.com/nestos/nosa-actions/internal/plan"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// mostArches is how many architectures a run may say that it builds: more than there
// are.
const mostArches = 16

// ReadArchitectures reads the number of architectures that a run builds.
func ReadArchitectures(s *action.Step) int { return s.Int("architectures", 1, mostArches) }

// Forecast foretells what stages of this job, or of all jobs of the run, need.
func (j *Job) Forecast(platforms []string, stages ...plan.Stage) (plan.Forecast, error) {
	p := plan.Pipeline{
		Platforms: platforms, Stages: stages, Handoff: j.handoff, Arches: j.arches, KVM: usable(kvm), PackageBytes: j.knownBytes(),
	}
	files, err := declarations(j.Config)
	if err != nil {
		return plan.Forecast{}, err
	}
	for _, file := range files {
		switch base := filepath.Base(file); {
		case strings.HasPrefix(base, "manifest-lock."+j.Arch.RPM+"."):
			p.Packages += countLocked(file)
		case strings.HasPrefix(base, "manifest-lock."), filepath.Ext(base) == ".repo":
		default:
			p.Wishes += countWishes(file)
		}
	}
	return plan.Foretell(p), nil
}

// kvm is the device by which guests run at full speed.
const kvm = "/dev/kvm"

// usable tells whether a device can be opened. One that can and does not work
// costs time only.
func usable(device string) bool {
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// TellSpeed says so if guests are going to be emulated.
func (j *Job) TellSpeed() {
	if slow := slowGuests(kvm); slow != "" {
		j.Step.Notice(slow)
	}
}

func slowGuests(device string) string {
	if usable(device) {
		return ""
	}
	return "this runner has no KVM: guests are emulated and take some ten times as long; " +
		"take a runner with " + device + ", or lengthen the time limits of tests by the input extend-timeout"
}

// knownBytes is the size of the package files as far as something here tells of
// it: an earlier fetch in the work directory, the record of an earlier run, or the
// pack that came from the job before; 0 if nothing does.
func (j *Job) knownBytes() int64 {
	if here := j.fetchedBytes(); here > 0 {
		return here
	}
	if packed := j.packedBytes(); packed > 0 {
		return packed
	}
	if r := j.LastRecord(); r != nil && r.PackageBytes > 0 && r.PackageBytes < 1<<50 {
		return r.PackageBytes
	}
	return 0
}

// fetchedBytes is the size of the packages in the work directory.
func (j *Job) fetchedBytes() int64 {
	dir, err := workdir.Open(j.Workdir, j.Arch)
	if err != nil {
		return 0
	}
	list, err := dir.Fetched()
	if err != nil {
		return 0 // it is about a guess
	}
	var sum int64
	for _, p := range list {
		sum += p.Size
	}
	return sum
}

// packedBytes is the size of a pack with packages that has come in.
func (j *Job) packedBytes() int64 {
	info, err := os.Stat(filepath.Join(j.temp, incoming, "nosa-cache-"+j.Arch.RPM+packSuffix))
	if err != nil {
		return 0
	}
	return info.Size()
}

// countLocked is the number of packages that a lockfile names. What is wrong with
// a file is told by who reads it in earnest.
func countLocked(file string) int {
	node, err := document.Load(file)
	if err != nil {
		return 0
	}
	top, _ := node.Any().(map[string]any)
	packages, _ := top["packages"].(map[string]any)
	return len(packages)
}

// countWishes is the number of packages that a part of a manifest names.
func countWishes(file string) int {
	node, err := document.Load(file)
	if err != nil {
		return 0
	}
	top, _ := node.Any().(map[string]any)
	n := countNames(top)
	groups, _ := top["repo-packages"].([]any)
	for _, group := range groups {
		if m, ok := group.(map[string]any); ok {
			n += countNames(m)
		}
	}
	return n
}

func countNames(m map[string]any) int {
	n := 0
	for key, value := range m {
		list, ok := value.([]any)
		if !ok || (key != "packages" && !strings.HasPrefix(key, "packages-")) {
			continue
		}
		for _, item := range list {
			if words, ok := item.(string); ok {
				n += len(strings.Fields(words))
			}
		}
	}
	return n
}

// Against holds a forecast against the limits of the runner and of GitHub.
func (j *Job) Against(f plan.Forecast, release bool) ([]plan.Line, error) {
	free, err := freeBytes(j.Workdir)
	if err != nil {
		return nil, err
	}
	room := plan.Room{Disk: free, Hosted: j.Step.Event().Hosted, Release: release}
	if room.Hosted {
		room.Freeable = spareBytes("/")
	}
	return plan.Check(f, room), nil
}

// Refuse is an error, with the mend, if a limit will be broken for certain. What
// may be too much, or will be cut, becomes a notice.
func (j *Job) Refuse(f plan.Forecast, lines []plan.Line) error {
	var broken []plan.Line
	for _, l := range lines {
		switch {
		case l.Verdict == plan.Refused:
			broken = append(broken, l)
		case l.Verdict != plan.Fits:
			j.Step.Notice(fmt.Sprintf("%s (%s); %s", l, f.Sure, l.Mend))
		}
	}
	return refusal(broken)
}
