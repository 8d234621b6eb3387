package kola

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/machine/machinetest"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

func TestFailedTestsAreFound(t *testing.T) {
	o := Options{Tests: []Selected{
		named("a", nil), named("b", nil), named("c", nil), named("alone", func(s *Selected) { s.Meta.NonExclusive = false }),
	}}
	bucket := func(v Verdict, subs ...Result) Result {
		return Result{Name: "non-exclusive-test-bucket-0", Verdict: v, Subtests: subs}
	}
	for name, c := range map[string]struct {
		results []Result
		want    []string
	}{
		"one of a guest":    {[]Result{bucket(Fail, Result{Name: "a", Verdict: Pass}, Result{Name: "b", Verdict: Fail})}, []string{"b"}},
		"only the guest":    {[]Result{bucket(Fail, Result{Name: "a", Verdict: Pass}, Result{Name: "b", Verdict: Pass}, Result{Name: "c", Verdict: Pass})}, []string{"a", "b", "c"}},
		"it did not start":  {[]Result{bucket(Fail)}, []string{"a", "b", "c"}},
		"alone":             {[]Result{bucket(Pass), {Name: "alone", Verdict: Fail}}, []string{"alone"}},
		"what warns is not": {[]Result{bucket(Warn, Result{Name: "a", Verdict: Warn})}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, s := range o.failed(c.results) {
				got = append(got, s.Name)
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestASecondRunCountsOnlyWhereItMay(t *testing.T) {
	tagged := named("a", func(s *Selected) { s.Meta.Tags = []string{"allow-rerun-success"} })
	plain := named("b", nil)
	for name, c := range map[string]struct {
		tags   []string
		failed []Selected
		first  []Result
		want   bool
	}{
		"nothing said": {nil, []Selected{tagged}, nil, false},
		"all":          {[]string{"all"}, []Selected{plain}, nil, true},
		"tag":          {[]string{"allow-rerun-success"}, []Selected{tagged}, nil, true},
		"one without":  {[]string{"allow-rerun-success"}, []Selected{tagged, plain}, nil, false},
		"time-out":     {[]string{"allow-rerun-success"}, []Selected{plain}, []Result{{Name: "b", flaky: true}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, Options{RerunTags: c.tags}.countsAgain(c.first, c.failed))
		})
	}
}

func TestFailedTestsRunAgain(t *testing.T) {
	testkit.NeedTool(t, "qemu-system-x86_64", "qemu-img")
	out := t.TempDir()
	report, err := Run(t.Context(), tool.Host{}, nil, Options{
		Tests: []Selected{{Case: Case{Name: "a"}}}, Arch: arch.X86_64, MemoryMiB: 256, Rerun: true, RerunTags: []string{"all"},
		Image:  machinetest.Speaker(t, "Kernel panic - not syncing: x\r\n", false),
		Expect: Expect{Platform: "qemu"}, OutputDir: out,
	})
	require.NoError(t, err)
	require.Equal(t, Fail, report.Verdict)
	require.Equal(t, Fail, report.Tests[0].Rerun)
	text, err := os.ReadFile(filepath.Join(out, "rerun", "reports", "report.json"))
	require.NoError(t, err)
	var second Report
	require.NoError(t, json.Unmarshal(text, &second))
	require.Equal(t, "a", second.Tests[0].Name)
	require.DirExists(t, filepath.Join(out, "rerun", "a"))
}
