package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// report is what the summary reads of kola's report.json.
type report struct {
	Tests []result `json:"tests"`
}

type result struct {
	Name     string        `json:"name"`
	Result   string        `json:"result"`
	Duration time.Duration `json:"duration"`
	Boot     time.Duration `json:"boot"` // of a test's guest
	Subtests []result      `json:"subtests"`
}

// summary prints what was made and how the tests went.
func (d *demo) summary(w io.Writer) error {
	host, err := arch.Host()
	if err != nil {
		return err
	}
	dir, err := workdir.Open(d.dir, host)
	if err != nil {
		return err
	}
	build, err := dir.Latest()
	if err != nil {
		return err
	}
	meta, err := build.Meta()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s %s (%s)\ncommit %s\n\n", meta.Name, build.ID, host, meta.OSTreeCommit)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ARTIFACT\tSIZE\tSHA256\tPATH")
	for _, name := range slices.Sorted(maps.Keys(meta.Images)) {
		image := meta.Images[name]
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", name, megabytes(image.Size), image.SHA256, shorten(build.Path(image.Path)))
	}
	fmt.Fprintln(table)
	if err := table.Flush(); err != nil {
		return err
	}
	if err := d.tests(w); err != nil {
		return err
	}
	var total time.Duration
	for _, s := range d.stages {
		fmt.Fprintf(w, "%s %.0fs, ", s.name, s.took.Seconds())
		total += s.took
	}
	fmt.Fprintf(w, "together %.0fs\n", total.Seconds())
	return nil
}

func (d *demo) tests(w io.Writer) error {
	text, err := os.ReadFile(filepath.Join(d.dir, "tmp/kola/reports/report.json"))
	if err != nil {
		return err
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("report.json: %w", err)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TEST\tRESULT\tSECONDS\tBOOT")
	for _, t := range r.Tests {
		fmt.Fprintf(table, "%s\t%s\t%.1f\t%.1f\n", t.Name, t.Result, t.Duration.Seconds(), t.Boot.Seconds())
		printSubtests(table, "  ", t.Subtests)
	}
	fmt.Fprintln(table)
	return table.Flush()
}

func printSubtests(w io.Writer, indent string, list []result) {
	for _, t := range list {
		fmt.Fprintf(w, "%s%s\t%s\t%.1f\n", indent, t.Name, t.Result, t.Duration.Seconds())
		printSubtests(w, indent+"  ", t.Subtests)
	}
}

func megabytes(size int64) string {
	if size < 1e6 {
		return fmt.Sprintf("%.0f kB", float64(size)/1e3)
	}
	return fmt.Sprintf("%.0f MB", float64(size)/1e6)
}

// shorten gives a path relative to the current directory where that is shorter.
func shorten(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return path
}
