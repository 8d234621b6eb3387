package boottime

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/diag"
)

// real are measured starts of one image of nestos-mini without KVM: quiet on a
// machine with nothing else to do, same on one with far too much.
func real(t *testing.T, pattern string) []*Record {
	t.Helper()
	paths, err := filepath.Glob("testdata/" + pattern + ".json.gz")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	var out []*Record
	for _, path := range paths {
		f, err := os.Open(path)
		require.NoError(t, err)
		defer f.Close()
		unzipped, err := gzip.NewReader(f)
		require.NoError(t, err)
		r := &Record{}
		require.NoError(t, json.NewDecoder(unzipped).Decode(r))
		out = append(out, r)
	}
	return out
}

var tight = Budgets{Boot: []Budget{{Name: Userspace, Growth: 1}, {Name: Initrd, Growth: 1}, {Name: Kernel, Growth: 1}, {Name: Total, Growth: 1}}}

// again is the same start once more: the machine is as fast as it happens to be,
// and each unit takes as long as it happens to.
func again(r *Record, random *rand.Rand) *Record {
	speed := math.Exp(0.25 * random.NormFloat64())
	out := &Record{}
	stretch := func(seconds, spread float64) float64 { return seconds * speed * math.Exp(spread*random.NormFloat64()) }
	for _, p := range r.Phases {
		out.Phases = append(out.Phases, Phase{p.Name, stretch(p.Seconds, 0.02)})
	}
	for _, u := range r.Units {
		took := stretch(u.Seconds(), 0.1)
		u.Start *= speed
		u.Finish = u.Start + took
		out.Units = append(out.Units, u)
	}
	return out
}

// delayed lets a unit that is there already take so much longer.
func delayed(r *Record, unit string, seconds float64) *Record {
	out := &Record{Phases: slices.Clone(r.Phases), Units: slices.Clone(r.Units)}
	for n := range out.Units {
		if out.Units[n].key() == unit {
			out.Units[n].Finish += seconds
		}
	}
	for n := range out.Phases {
		if out.Phases[n].Name == Userspace {
			out.Phases[n].Seconds += seconds
		}
	}
	return out
}

func TestTwoSecondsAreCaughtAndNothingElse(t *testing.T) {
	quiet := real(t, "quiet*")[0]
	random := rand.New(rand.NewPCG(7, 11))
	var history []*Record
	for range 5 {
		history = append(history, again(quiet, random))
	}
	for range 20 {
		require.Empty(t, tight.CheckBoot(history, again(quiet, random)), "an unchanged image")
	}
	for range 20 {
		r := again(quiet, random)
		r.Units = append(r.Units, Unit{Name: "delay.service", Start: 20, Finish: 22.01})
		found := tight.CheckBoot(history, r)
		require.NotEmpty(t, found)
		require.Contains(t, found[0].Message, "delay.service is new and takes 2.0 s")
	}
	for range 20 {
		found := tight.CheckBoot(history, delayed(again(quiet, random), "systemd-sysctl.service", 2))
		require.NotEmpty(t, found)
		require.Contains(t, found[0].Message, "systemd-sysctl.service takes ")
	}
}

func TestRealStartsAreToldApart(t *testing.T) {
	same := real(t, "same*")
	for n, r := range same {
		require.Empty(t, tight.CheckBoot(others(same, n), r), "start %d is of the same image as the others", n)
	}
}

func TestJournalBecomesPhasesAndUnits(t *testing.T) {
	lines := []string{
		`{"_BOOT_ID":"a","__MONOTONIC_TIMESTAMP":"1000000","MESSAGE":"Linux version 6"}`,
		`no JSON at all`,
		`{"_BOOT_ID":"a","__MONOTONIC_TIMESTAMP":"2000000","MESSAGE_ID":"` + unitStarting + `","UNIT":"ignition-disks.service","_RUNTIME_SCOPE":"initrd"}`,
		`{"_BOOT_ID":"a","__MONOTONIC_TIMESTAMP":"3500000","MESSAGE_ID":"` + unitStarted + `","UNIT":"ignition-disks.service","_RUNTIME_SCOPE":"initrd","MESSAGE":[1,2]}`,
		`{"_BOOT_ID":"a","__MONOTONIC_TIMESTAMP":"6000000","MESSAGE_ID":"` + unitStarting + `","UNIT":"a.service","_RUNTIME_SCOPE":"system"}`,
		`{"_BOOT_ID":"b","__MONOTONIC_TIMESTAMP":"100","MESSAGE_ID":"` + unitStarted + `","UNIT":"a.service"}`,
		`{"_BOOT_ID":"a","__MONOTONIC_TIMESTAMP":"6500000","MESSAGE_ID":"` + unitFailed + `","UNIT":"a.service","_RUNTIME_SCOPE":"system"}`,
		`{"_BOOT_ID":"a","__MONOTONIC_TIMESTAMP":"7000000","MESSAGE_ID":"` + unitStarted + `","UNIT":"multi-user.target"}`,
		`{"_BOOT_ID":"a","__MONOTONIC_TIMESTAMP":"7100000","MESSAGE_ID":"` + bootFinished + `","KERNEL_USEC":"1800000","INITRD_USEC":"3200000","USERSPACE_USEC":"2100000"}`,
	}
	r, err := Read(strings.NewReader(strings.Join(lines, "\n")))
	require.NoError(t, err)
	r.Before(0.5, 0.25)
	require.Equal(t, []Phase{{Firmware, 0.5}, {Loader, 0.25}, {Kernel, 1.8}, {Initrd, 1.7}, {Ignition, 1.5}, {Userspace, 2.1}}, r.Phases)
	require.Equal(t, []Unit{
		{Name: "ignition-disks.service", Start: 2, Finish: 3.5, Initrd: true},
		{Name: "a.service", Start: 6, Finish: 6.5, Failed: true},
		{Name: "multi-user.target", Start: 7, Finish: 7},
	}, r.Units)
	total, _ := r.Phase(Total)
	require.InDelta(t, 7.1, total, 1e-6)
	require.Equal(t, "ignition-disks.service", r.Slowest(1)[0].Name)

	_, err = Read(strings.NewReader(strings.Join(lines[:7], "\n")))
	require.ErrorIs(t, err, ErrIncomplete)
}

func TestBudgetsAreRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "budgets.yaml")
	read := func(text string) (Budgets, []string) {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		var found diag.List
		b, err := ReadBudgets(file, &found)
		require.NoError(t, err)
		var lines []string
		for _, f := range found.Sorted() {
			lines = append(lines, strings.TrimPrefix(f.String(), file+":"))
		}
		return b, lines
	}
	b, wrong := read("boot:\n  userspace: {seconds: 1.5, percent: 10, most: 30}\n  boot loader: {percent: 5%}\nsize:\n  qemu: {bytes: 20 MiB, most: 1 GiB}\n")
	require.Empty(t, wrong)
	require.Equal(t, []float64{1.5, 10, 30}, []float64{b.Boot[0].Growth, b.Boot[0].Percent, b.Boot[0].Most})
	require.Equal(t, 5.0, b.Boot[1].Percent)
	require.Equal(t, []float64{20 << 20, 1 << 30}, []float64{b.Size[0].Growth, b.Size[0].Most})

	_, wrong = read("boot:\n  usrspace: {seconds: 1}\n  kernel: {second: 1}\n  initrd: {seconds: soon}\n  total: {}\n  ignition: {seconds: nan, percent: inf}\nsize:\n  qemu: {bytes: -1}\nspeed: 1\n")
	require.Equal(t, []string{
		`2:3: unknown phase "usrspace"; known are firmware, boot loader, kernel, initrd, ignition, userspace, total`,
		`3:12: unknown key "second"; known are seconds, percent and most`,
		`4:21: "soon" is not a number of seconds above 0`,
		`5:3: the budget of total has no limit`,
		`6:23: "nan" is not a number of seconds above 0`,
		`6:37: "inf" is not a percentage such as 5 above 0`,
		`8:17: "-1" is not a size such as 20 MiB above 0`,
		`9:1: unknown key "speed"; known are boot and size`,
	}, wrong)
	none, err := ReadBudgets(filepath.Join(t.TempDir(), "none.yaml"), &diag.List{})
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestSizesAreHeldToTheirBudgets(t *testing.T) {
	b := Budgets{Size: []Budget{{Name: "qemu", Growth: 10 << 20, Percent: 5}, {Name: "ostree", Most: 100 << 20}, {Name: "metal", Growth: 1}}}
	before := map[string]int64{"qemu": 500 << 20, "ostree": 90 << 20}
	require.Empty(t, b.CheckSizes(before, map[string]int64{"qemu": 524 << 20, "ostree": 99 << 20, "metal": 7}))
	found := b.CheckSizes(before, map[string]int64{"qemu": 526 << 20, "ostree": 101 << 20})
	require.Equal(t, "qemu takes 526.0 MiB, 26.0 MiB more than before; allowed are 25.0 MiB", found[0].Message)
	require.Equal(t, "ostree takes 101.0 MiB, more than 100.0 MiB", found[1].Message)
}

func FuzzRead(f *testing.F) {
	f.Add(`{"_BOOT_ID":"a","__MONOTONIC_TIMESTAMP":"7100000","MESSAGE_ID":"` + bootFinished + `","KERNEL_USEC":"1"}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Read(strings.NewReader(text))
		if err == nil {
			_, err = json.Marshal(r)
			require.NoError(t, err)
		}
	})
}

func TestATextForPeople(t *testing.T) {
	r := &Record{
		Phases: []Phase{{Kernel, 4.446}, {Userspace, 41.533}},
		Units:  []Unit{{Name: "a.service", Start: 1, Finish: 1.5}, {Name: "b.service", Start: 2, Finish: 13.25, Initrd: true}},
	}
	require.Equal(t, "     4.446s kernel\n    41.533s userspace\n\n    11.250s initrd/b.service\n     0.500s a.service\n", r.Text())
}
