package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/atomicfile"
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

// recordsFile holds, beside a build, the starts of its images that were measured.
const recordsFile = "boot-records.json"

// maxRecords bounds how many are kept; the newest ones are.
const maxRecords = 40

// measured is what a run adds to what is known of starts and sizes.
type measured struct {
	starts  map[string]*boottime.Record   // by the directory of the guest
	earlier map[string][]*boottime.Record // starts before this build, by the kind of guest
	sizes   map[string]int64              // of the build's artifacts, bytes
	before  map[string]int64              // of the previous build's
	against string                        // id of the previous build; may be empty
}

// measure gathers the starts of a run, keeps them beside the build, and finds
// what they are compared with: those of the builds before, the newest first.
func measure(dir *workdir.Dir, t target, out string) (measured, error) {
	m := measured{earlier: map[string][]*boottime.Record{}}
	var err error
	if m.starts, err = kola.Boots(out); err != nil || dir == nil || t.build == "" {
		return m, err
	}
	index, err := dir.Index()
	if err != nil {
		return m, err
	}
	reached := false
	for _, entry := range index.Builds {
		if !slices.Contains(entry.Arches, t.arch.RPM) {
			continue
		}
		b, err := dir.Build(entry.ID)
		if err != nil {
			continue // it does not lie here
		}
		switch {
		case entry.ID == t.build:
			reached = true
			if m.sizes, err = sizes(b); err == nil {
				err = keep(b, m.starts)
			}
		case reached:
			err = m.compareWith(b)
		}
		if err != nil {
			return m, err
		}
	}
	return m, nil
}

// compareWith takes what a build before knows. Starts of builds further back are
// taken only while there are too few to tell growth from noise.
func (m *measured) compareWith(b workdir.Build) error {
	if m.against == "" {
		var err error
		if m.before, err = sizes(b); err != nil {
			return err
		}
		m.against = b.ID
	}
	records, err := readRecords(b)
	if err != nil {
		return err
	}
	enough := map[string]bool{}
	for kind, list := range m.earlier {
		enough[kind] = len(list) >= boottime.Enough
	}
	for _, r := range records {
		if !enough[r.Machine] {
			m.earlier[r.Machine] = append(m.earlier[r.Machine], r)
		}
	}
	return nil
}

func sizes(b workdir.Build) (map[string]int64, error) {
	meta, err := b.View()
	if err != nil {
		return nil, err
	}
	out := map[string]int64{}
	for name, image := range meta.Images {
		size := image.Size
		if image.UncompressedSize > 0 {
			size = image.UncompressedSize
		}
		if info, err := os.Stat(b.Path(image.Path)); size == 0 && err == nil {
			size = info.Size()
		}
		out[name] = size
	}
	return out, nil
}

func readRecords(b workdir.Build) ([]*boottime.Record, error) {
	text, err := os.ReadFile(b.Path(recordsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var records []*boottime.Record
	if err := json.Unmarshal(text, &records); err != nil {
		return nil, fmt.Errorf("%s: %w; remove it to begin anew", b.Path(recordsFile), err)
	}
	return records, nil
}

// keep adds the starts to those that are known of the build.
func keep(b workdir.Build, starts map[string]*boottime.Record) error {
	if len(starts) == 0 {
		return nil
	}
	records, err := readRecords(b)
	if err != nil {
		return err
	}
	for _, dir := range slices.Sorted(maps.Keys(starts)) {
		starts[dir].Build = b.ID
		records = append(records, starts[dir])
	}
	records = records[max(0, len(records)-maxRecords):]
	text, err := json.Marshal(records)
	if err != nil {
		return err
	}
	return atomicfile.Write(b.Path(recordsFile), append(text, '\n'), 0o644)
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
