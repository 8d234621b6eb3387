package test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/boottime"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/image/inspect"
	"github.com/nestos/nosa-actions/internal/kola"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// inspection takes the test that needs no guest out of the selection and runs
// it. It comes first: what it finds explains what the others see.
func (o Options) inspection(ctx context.Context, r tool.Runner, log *progress.Log, dir *workdir.Dir, t target, selection *kola.Selection) ([]kola.Result, error) {
	at := slices.IndexFunc(selection.Tests, func(s kola.Selected) bool { return s.Name == kola.InspectionName })
	if at < 0 {
		return nil, nil
	}
	asked := selection.Tests[at]
	selection.Tests = slices.Delete(selection.Tests, at, at+1)
	step := log.Step("test %s", kola.InspectionName)
	defer step.Stop()
	begin := time.Now()
	report, err := look(ctx, r, dir, t)
	if err != nil {
		return nil, fmt.Errorf("test %s: %w", kola.InspectionName, err)
	}
	res := kola.Result{Name: kola.InspectionName, Verdict: kola.Pass, Duration: time.Since(begin)}
	found := diag.List{Findings: report.Defects}
	var lines []string
	for _, f := range found.Sorted() {
		lines = append(lines, f.String())
	}
	res.Output = strings.Join(lines, "\n")
	if found.Err() != nil {
		res.Verdict = kola.Fail
		if asked.Warn {
			res.Verdict = kola.Warn
		}
	}
	step.Done("%s", res.Verdict)
	kola.Announce(o.Terminal, res)
	return []kola.Result{res}, nil
}

func look(ctx context.Context, r tool.Runner, dir *workdir.Dir, t target) (*inspect.Report, error) {
	scratch, err := os.MkdirTemp("", "nosa-inspect-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // in the system's own directory
	in := inspect.Options{Path: t.image + t.iso, Scratch: scratch}
	if t.build != "" {
		build, err := dir.Build(t.build)
		if err != nil {
			return nil, err
		}
		meta, err := build.View()
		if err != nil {
			return nil, err
		}
		for name, image := range meta.Images {
			if build.Path(image.Path) == in.Path {
				if in.Records, err = inspect.RecordsOf(build, name, scratch); err != nil {
					return nil, err
				}
			}
		}
	}
	return inspect.Run(ctx, r, in)
}

// budgets reads what the config allows; without a work directory, nothing is
// bounded.
func budgets(dir *workdir.Dir) (boottime.Budgets, error) {
	if dir == nil {
		return boottime.Budgets{}, nil
	}
	var found diag.List
	b, err := boottime.ReadBudgets(filepath.Join(dir.Config(), boottime.FileName), &found)
	return b, errors.Join(err, found.Err())
}

// gates judges what was measured. Each gate is a test of its own, which is there
// only if the config sets budgets for it.
func gates(b boottime.Budgets, m measured) []kola.Result {
	var out []kola.Result
	if len(b.Boot) > 0 && len(m.starts) > 0 {
		res := kola.Result{Name: "gate/boot", Verdict: kola.Pass}
		var lines []string
		for _, dir := range slices.Sorted(maps.Keys(m.starts)) {
			r := m.starts[dir]
			earlier := m.earlier[r.Machine]
			if n := len(earlier); n < boottime.Enough {
				lines = append(lines, fmt.Sprintf("%s: %d earlier starts of this kind are known; growth is judged from %d on", r.Machine, n, boottime.Enough))
			}
			for _, f := range b.CheckBoot(earlier, r) {
				lines, res.Verdict = append(lines, f.String()), kola.Fail
			}
		}
		res.Output = strings.Join(lines, "\n")
		out = append(out, res)
	}
	if len(b.Size) > 0 && len(m.sizes) > 0 {
		res := kola.Result{Name: "gate/size", Verdict: kola.Pass}
		var lines []string
		for _, f := range b.CheckSizes(m.before, m.sizes) {
			lines, res.Verdict = append(lines, f.String()), kola.Fail
		}
		res.Output = strings.Join(lines, "\n")
		out = append(out, res)
	}
	return out
}
