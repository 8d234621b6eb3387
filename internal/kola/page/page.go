// Package page makes the report of a test run that people look at: one HTML file
// that needs nothing else, neither scripts nor fonts, to be opened from an
// artifact or a directory. It shows the verdicts, where the start of the system
// spends its time, what has changed since the previous build, and the last words
// of guests that failed.
package page

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/boottime"
	"github.com/nestos/nosa-actions/internal/kola"
)

// Data is what the page is about. All text in it may be hostile.
type Data struct {
	Name     string // of the system
	Build    string // id; may be empty
	Commit   string // may be empty
	Arch     string
	Platform string
	Date     time.Time
	Report   kola.Report

	// Starts are measured starts, the one that is shown in full first.
	Starts []Start
	// Against is the build that the rest is compared with; empty: none.
	Against  string
	Sizes    []Size
	Packages []Package

	Consoles []Console // of guests that failed
}

// Start is how a guest came up.
type Start struct {
	Guest  string // the test, or the group of tests
	Record *boottime.Record
	// Phases and Units are compared with earlier starts; empty: there are none.
	Phases, Units []boottime.Change
}

// Size is that of an artifact, in bytes; Before is 0 where it is not known.
type Size struct {
	Artifact    string
	Now, Before int64
}

// Package is what became of one package; From is empty for a new one, To for one
// that is gone.
type Package struct{ Name, From, To string }

// Console is what a guest said last.
type Console struct{ Guest, Text string }

//go:embed page.html
var source string

var layout = template.Must(template.New("page").Parse(source))

// Render makes the page. The same data give the same bytes.
func Render(d Data) ([]byte, error) {
	var out bytes.Buffer
	if err := layout.Execute(&out, newView(d)); err != nil {
		return nil, fmt.Errorf("report page: %w", err)
	}
	return out.Bytes(), nil
}

// view is the data as the page shows them.
type view struct {
	Data
	Title   string
	Day     string
	Verdict string
	Counts  []count
	Rows    []row
	Main    *startView
	Others  []startView
	SizeRow []sizeRow
	Groups  []group
}

type count struct {
	Verdict kola.Verdict
	N       int
}

// row is one line of the table of results.
type row struct {
	Name, Verdict, Class, Seconds, Output string
	Depth                                 int
	Boot                                  string
}

type sizeRow struct{ Artifact, Now, Before, Change string }

type group struct {
	Title    string
	Packages []Package
}

func newView(d Data) view {
	v := view{Data: d, Title: strings.TrimSpace(d.Name + " " + d.Build), Verdict: string(d.Report.Verdict)}
	if v.Title == "" {
		v.Title = "image"
	}
	if !d.Date.IsZero() {
		v.Day = d.Date.UTC().Format("2006-01-02 15:04 UTC")
	}
	counted := map[kola.Verdict]int{}
	for _, r := range d.Report.Tests {
		v.add(r, 0, counted)
	}
	for _, verdict := range []kola.Verdict{kola.Fail, kola.Warn, kola.Pass, kola.Skip} {
		if counted[verdict] > 0 {
			v.Counts = append(v.Counts, count{verdict, counted[verdict]})
		}
	}
	for n, s := range d.Starts {
		if shown := newStart(s); n == 0 {
			v.Main = &shown
		} else {
			v.Others = append(v.Others, shown)
		}
	}
	for _, s := range d.Sizes {
		v.SizeRow = append(v.SizeRow, newSize(s))
	}
	v.group()
	return v
}

// add puts a test and what it is made of into the table.
func (v *view) add(r kola.Result, depth int, counted map[kola.Verdict]int) {
	if len(r.Subtests) == 0 {
		counted[r.Verdict]++
	}
	line := row{Name: r.Name, Verdict: string(r.Verdict), Class: strings.ToLower(string(r.Verdict)), Depth: min(depth, 3), Output: r.Output, Seconds: seconds(r.Duration.Seconds())}
	if r.Boot > 0 && (r.Verdict != kola.Fail || len(r.Subtests) > 0) { // else it never came up
		line.Boot = seconds(r.Boot.Seconds())
	}
	v.Rows = append(v.Rows, line)
	for _, sub := range r.Subtests {
		v.add(sub, depth+1, counted)
	}
}

func seconds(s float64) string { return fmt.Sprintf("%.1f s", s) }

func newSize(s Size) sizeRow {
	out := sizeRow{Artifact: s.Artifact, Now: boottime.Size(float64(s.Now)), Before: "–", Change: "–"}
	if s.Before > 0 {
		out.Before = boottime.Size(float64(s.Before))
		out.Change = fmt.Sprintf("%+.1f %%", 100*float64(s.Now-s.Before)/float64(s.Before))
	}
	return out
}

func (v *view) group() {
	groups := []group{{Title: "Changed"}, {Title: "Added"}, {Title: "Removed"}}
	for _, p := range v.Packages {
		switch {
		case p.From == "":
			groups[1].Packages = append(groups[1].Packages, p)
		case p.To == "":
			groups[2].Packages = append(groups[2].Packages, p)
		default:
			groups[0].Packages = append(groups[0].Packages, p)
		}
	}
	for _, g := range groups {
		if len(g.Packages) > 0 {
			v.Groups = append(v.Groups, g)
		}
	}
}
