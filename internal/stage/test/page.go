package test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/boottime"
	"github.com/nestos/nosa-actions/internal/kola"
	"github.com/nestos/nosa-actions/internal/kola/page"
	"github.com/nestos/nosa-actions/internal/machine"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// PageFile is the report for people, in the output directory.
const PageFile = "report.html"

// writePage makes PageFile.
func (o Options) writePage(dir *workdir.Dir, t target, m measured, result Result) error {
	d := page.Data{
		Build: t.build, Commit: t.commit, Arch: t.arch.RPM, Platform: o.Platform, Date: time.Now(),
		Report: result.Report, Starts: m.pageStarts(result.OutputDir), Against: m.against, Sizes: m.pageSizes(),
	}
	if t.build != "" && dir != nil {
		build, err := dir.Build(t.build)
		if err != nil {
			return err
		}
		meta, err := build.View()
		if err != nil {
			return err
		}
		d.Name, d.Packages = meta.Name, packageChanges(meta.PkgDiff)
	}
	var err error
	if d.Consoles, err = consoles(result); err != nil {
		return err
	}
	text, err := page.Render(d)
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(result.OutputDir, PageFile), text, 0o644)
}

// pageStarts are the measured starts; that of the guest which most tests share
// comes first.
func (m measured) pageStarts(out string) []page.Start {
	var starts []page.Start
	for _, dir := range slices.Sorted(maps.Keys(m.starts)) {
		r := m.starts[dir]
		guest, err := filepath.Rel(out, filepath.Dir(dir))
		if err != nil {
			guest = filepath.Base(filepath.Dir(dir))
		}
		s := page.Start{Guest: guest, Record: r}
		s.Phases, s.Units = boottime.Compare(m.earlier[r.Machine], r)
		starts = append(starts, s)
	}
	slices.SortStableFunc(starts, func(a, b page.Start) int { return rank(a.Guest) - rank(b.Guest) })
	return starts
}

func rank(guest string) int {
	switch {
	case strings.HasPrefix(guest, "non-exclusive-test-bucket"):
		return 0
	case guest == "basic":
		return 1
	}
	return 2
}

func (m measured) pageSizes() []page.Size {
	var out []page.Size
	for _, name := range slices.Sorted(maps.Keys(m.sizes)) {
		out = append(out, page.Size{Artifact: name, Now: m.sizes[name], Before: m.before[name]})
	}
	return out
}

// packageChanges reads the list in meta.json: [name, type, {PreviousPackage,
// NewPackage}], of which each is [name, version, arch]. What is not of that form
// is left out.
func packageChanges(diff []json.RawMessage) []page.Package {
	var out []page.Package
	for _, raw := range diff {
		var row []json.RawMessage
		var name string
		var details struct{ PreviousPackage, NewPackage []string }
		if json.Unmarshal(raw, &row) != nil || len(row) != 3 || json.Unmarshal(row[0], &name) != nil || json.Unmarshal(row[2], &details) != nil {
			continue
		}
		version := func(p []string) string {
			if len(p) < 2 {
				return ""
			}
			return p[1]
		}
		out = append(out, page.Package{Name: name, From: version(details.PreviousPackage), To: version(details.NewPackage)})
	}
	return out
}

// Of a console, so many bytes are looked at, and so many lines are shown.
const (
	consoleBytes = 64 << 10
	consoleLines = 60
	maxConsoles  = 10
)

// consoles are the last words of the guests of failed tests.
func consoles(result Result) ([]page.Console, error) {
	var out []page.Console
	for _, res := range result.Report.Tests {
		if res.Verdict != kola.Fail || len(out) >= maxConsoles {
			continue
		}
		err := filepath.WalkDir(filepath.Join(result.OutputDir, res.Name), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.Name() != "console.txt" || !d.Type().IsRegular() {
				return err
			}
			text, err := tail(path)
			if text != "" {
				out = append(out, page.Console{Guest: res.Name, Text: text})
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return out, nil
}

func tail(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	text := make([]byte, min(info.Size(), consoleBytes))
	n, err := f.ReadAt(text, info.Size()-int64(len(text)))
	if n < len(text) {
		return "", err
	}
	lines := strings.Split(strings.TrimSpace(machine.Plain(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-consoleLines):], "\n"), nil
}
