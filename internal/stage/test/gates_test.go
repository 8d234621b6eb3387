package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/boottime"
	"github.com/nestos/nosa-actions/internal/kola"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// start is a measured start; delay lengthens one unit of it.
func start(delay float64) *boottime.Record {
	r := &boottime.Record{Machine: "tcg bios basic", Phases: []boottime.Phase{{Name: boottime.Kernel, Seconds: 4}, {Name: boottime.Userspace, Seconds: 20 + delay}}}
	for _, name := range []string{"a.service", "b.service", "c.service", "d.service", "e.service", "f.service"} {
		r.Units = append(r.Units, boottime.Unit{Name: name, Start: 5, Finish: 6})
	}
	r.Units[0].Finish += delay
	return r
}

// twoBuilds is a work directory with a build of which so many starts are known,
// and one to test.
func twoBuilds(t *testing.T, known int) *workdir.Dir {
	t.Helper()
	dir := work(t, map[string]string{
		"config/budgets.yaml": "boot:\n  userspace: {seconds: 1}\nsize:\n  qemu: {percent: 10}\n",
	})
	dir.SkipValidation = true
	write := func(name string, v any) {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		path := filepath.Join(dir.BuildsDir(), name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, text, 0o644))
	}
	for id, size := range map[string]int{"2": 120, "1": 100} {
		write(id+"/"+dir.Arch.RPM+"/meta.json", map[string]any{
			"buildid": id, "name": "nestos", "ostree-commit": "c", "images": map[string]any{"qemu": map[string]any{"path": "q", "sha256": "x", "size": size}},
		})
	}
	list := []map[string]any{{"id": "2", "arches": []string{dir.Arch.RPM}}, {"id": "1", "arches": []string{dir.Arch.RPM}}}
	write("builds.json", map[string]any{"schema-version": "1.0.0", "builds": list, "timestamp": "2026-01-01T00:00:00Z"})
	var records []*boottime.Record
	for range known {
		records = append(records, start(0))
	}
	write("1/"+dir.Arch.RPM+"/"+recordsFile, records)
	return dir
}

// judge puts a start where a guest leaves it, and judges it.
func judge(t *testing.T, dir *workdir.Dir, r *boottime.Record) []kola.Result {
	t.Helper()
	out := t.TempDir()
	guest := filepath.Join(out, "basic", "uuid")
	require.NoError(t, os.MkdirAll(guest, 0o755))
	text, err := json.Marshal(r)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(guest, kola.BootFile), text, 0o644))
	allowed, err := budgets(dir)
	require.NoError(t, err)
	m, err := measure(dir, target{arch: dir.Arch, build: "2"}, out)
	require.NoError(t, err)
	return gates(allowed, m)
}

func TestGatesCompareWithThePreviousBuild(t *testing.T) {
	dir := twoBuilds(t, 3)
	file := filepath.Join(dir.Config(), "budgets.yaml")

	same := judge(t, dir, start(0.2))
	require.Equal(t, []kola.Result{
		{Name: "gate/boot", Verdict: kola.Pass},
		{Name: "gate/size", Verdict: kola.Fail, Output: file + ":4:3: qemu takes 120 bytes, 20 bytes more than before; allowed are 10 bytes"},
	}, same)

	slow := judge(t, dir, start(2))
	require.Equal(t, kola.Fail, slow[0].Verdict)
	require.Equal(t, file+":2:3: userspace takes 22.0 s, 2.0 s more than before (20.0 s): a.service takes 3.0 s, 2.0 s more than before (1.0 s); allowed are 1.0 s", slow[0].Output)

	build, err := dir.Build("2")
	require.NoError(t, err)
	known, err := pastOf(build)
	require.NoError(t, err)
	require.Len(t, known.Starts, 2, "both starts are kept for the next build")
	require.Equal(t, "2", known.Starts[0].Build)
}

func TestGrowthIsNotJudgedFromTooFewStarts(t *testing.T) {
	got := judge(t, twoBuilds(t, 2), start(5))
	require.Equal(t, kola.Pass, got[0].Verdict)
	require.Equal(t, "tcg bios basic: 2 earlier starts of this kind are known; growth is judged from 3 on", got[0].Output)
}

func TestBadBudgetsStopTheRun(t *testing.T) {
	dir := work(t, map[string]string{"config/budgets.yaml": "boot:\n  userspace: {seconds: soon}\n"})
	_, err := budgets(dir)
	require.ErrorContains(t, err, `budgets.yaml:2:24: "soon" is not a number of seconds above 0`)
}

// A fresh machine has no builds but the one it tests: what it compares with comes
// from the results of another machine's run, whose builds may have the same ids.
func TestGatesCompareWithWhatAnotherMachineMeasured(t *testing.T) {
	there := twoBuilds(t, 3)
	results := t.TempDir()
	_, err := measure(there, target{arch: there.Arch, build: "2"}, results)
	require.NoError(t, err)
	left, err := os.ReadFile(filepath.Join(results, "measures.json"))
	require.NoError(t, err)

	here := twoBuilds(t, 0)
	require.NoError(t, os.RemoveAll(filepath.Join(here.BuildsDir(), "1")))
	arrived := filepath.Join(here.Path, workdir.MeasuresFile)
	require.NoError(t, os.MkdirAll(filepath.Dir(arrived), 0o755))
	require.NoError(t, os.WriteFile(arrived, left, 0o644))

	file := filepath.Join(here.Config(), "budgets.yaml")
	slow := judge(t, here, start(2))
	require.Equal(t, file+":2:3: userspace takes 22.0 s, 2.0 s more than before (20.0 s): a.service takes 3.0 s, 2.0 s more than before (1.0 s); allowed are 1.0 s", slow[0].Output)
	require.Equal(t, kola.Result{Name: "gate/size", Verdict: kola.Pass}, slow[1], "the newest build there is as large")
	same := judge(t, here, start(0))
	require.Equal(t, kola.Result{Name: "gate/boot", Verdict: kola.Pass}, same[0])

	require.NoError(t, os.WriteFile(arrived, []byte("{"), 0o644))
	_, err = measure(here, target{arch: here.Arch, build: "2"}, t.TempDir())
	require.ErrorContains(t, err, "measures.json: unexpected end of JSON input; remove it to begin anew")
}

// Two runs at once lose no start of each other.
func TestStartsOfRunsAtOnceAreAllKept(t *testing.T) {
	dir := twoBuilds(t, 0)
	build, err := dir.Build("2")
	require.NoError(t, err)
	var runs errgroup.Group
	for range 16 {
		runs.Go(func() error { return keep(build, map[string]*boottime.Record{"guest": start(0)}) })
	}
	require.NoError(t, runs.Wait())
	known, err := pastOf(build)
	require.NoError(t, err)
	require.Len(t, known.Starts, 16)
}
