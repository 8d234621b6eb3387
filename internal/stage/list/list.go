// Package list is the stage that shows the builds of a work directory.
package list

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/workdir"
)

// Options says whose builds to list.
type Options struct {
	Workdir *workdir.Dir
}

// Result is what Run found.
type Result struct {
	Builds []Build // newest first
	// Missing says that the list ends early, at a build that is known but
	// whose metadata does not lie here.
	Missing bool
}

// Build is one line of the list and its details.
type Build struct {
	ID        string
	Time      time.Time
	Artifacts []string // sorted
	Branch    string   // of the config; "" if unknown
	Commit    string   // of the config; "" if unknown
	Dirty     bool     // the config had changes that were not committed
	Tags      []string
}

// Run lists the builds of the work directory's architecture.
func Run(o Options) (Result, error) {
	index, err := o.Workdir.Index()
	if err != nil {
		return Result{}, err
	}
	var r Result
	for _, entry := range index.Builds {
		if !slices.Contains(entry.Arches, o.Workdir.Arch.RPM) {
			continue
		}
		b, err := o.Workdir.Build(entry.ID)
		if errors.Is(err, workdir.ErrNoBuild) {
			r.Missing = true
			break
		}
		if err != nil {
			return Result{}, err
		}
		described, err := describe(b, index.Tags)
		if err != nil {
			return Result{}, err
		}
		r.Builds = append(r.Builds, described)
	}
	return r, nil
}

func describe(b workdir.Build, tags []workdir.Tag) (Build, error) {
	m, err := b.View()
	if err != nil {
		return Build{}, err
	}
	d := Build{ID: b.ID, Artifacts: slices.Sorted(maps.Keys(m.Images))}
	if d.Time, err = m.Time(); err != nil {
		return Build{}, fmt.Errorf("build %s: %w", b.ID, err)
	}
	if git := m.ConfigGit; git != nil {
		d.Branch, d.Commit, d.Dirty = git.Branch, git.Commit, git.Dirty == "true"
	}
	for _, tag := range tags {
		if tag.Target == b.ID {
			d.Tags = append(d.Tags, tag.Name)
		}
	}
	return d, nil
}

// Print writes the list for a person; now is the time that ages count from.
func (r Result) Print(w io.Writer, now time.Time) error {
	var out strings.Builder
	for _, b := range r.Builds {
		b.print(&out, now)
	}
	switch {
	case r.Missing:
		out.WriteString("<missing builds locally>\n")
	case len(r.Builds) == 0:
		out.WriteString("No builds!\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (b Build) print(out *strings.Builder, now time.Time) {
	fmt.Fprintf(out, "%s\n", b.ID)
	fmt.Fprintf(out, "   Timestamp: %s (%s ago)\n", workdir.Timestamp(b.Time), age(now.Sub(b.Time)))
	fmt.Fprintf(out, "   Artifacts: %s\n", strings.Join(b.Artifacts, " "))
	if b.Commit != "" {
		fmt.Fprintf(out, "   Config: %s\n", b.config())
	}
	if len(b.Tags) > 0 {
		fmt.Fprintf(out, "   Tags: %s\n", strings.Join(b.Tags, " "))
	}
	out.WriteString("\n")
}

// config is "BRANCH (COMMIT) (dirty)".
func (b Build) config() string {
	var words []string
	if b.Branch != "" {
		words = append(words, b.Branch)
	}
	words = append(words, fmt.Sprintf("(%.12s)", b.Commit))
	if b.Dirty {
		words = append(words, "(dirty)")
	}
	return strings.Join(words, " ")
}

// age is a time span in its two largest units.
func age(d time.Duration) string {
	minutes := max(0, int(d.Minutes()))
	days, hours, minutes := minutes/(24*60), minutes/60%24, minutes%60
	switch {
	case days > 0:
		return fmt.Sprintf("%dd %dh", days, hours)
	case hours > 0:
		return fmt.Sprintf("%dh %dm", hours, minutes)
	default:
		return fmt.Sprintf("%dm", minutes)
	}
}
