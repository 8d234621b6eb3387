// Package report says in Markdown, for the summary of a job, what came out of
// it. Text from builds and tests is foreign: whatever it holds, it stays text.
package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/plan"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// maxRows bounds long tables; a summary is for reading.
const maxRows = 200

// Fetch tells what was fetched: the packages of the build, and which of them were
// not here already. Sizes are in bytes.
type Fetch struct {
	Packages, Downloaded   int
	Bytes, DownloadedBytes int64
}

// Markdown is the section of the summary.
func (f Fetch) Markdown() string {
	from := ""
	switch f.Downloaded {
	case f.Packages:
	case 0:
		from = ", all of them from the cache"
	default:
		from = fmt.Sprintf("; downloaded %d of them, %s", f.Downloaded, Size(f.DownloadedBytes))
	}
	return fmt.Sprintf("### Packages\n\n%d packages, %s%s\n", f.Packages, Size(f.Bytes), from)
}

// Build tells about a build: what it is, its artifacts, and which packages
// changed since the build before.
type Build struct {
	Meta    *workdir.Meta
	Changed bool // a new build came out
}

// Markdown is the section of the summary.
func (b Build) Markdown() string {
	m := b.Meta
	var out strings.Builder
	fmt.Fprintf(&out, "### Build %s\n\n", Text(m.BuildID))
	if !b.Changed {
		out.WriteString("Nothing changed; this is the build from before.\n\n")
	}
	rows := [][]string{
		{"Version", Text(m.OSTreeVersion)},
		{"Commit", code(m.OSTreeCommit)},
		{"Ref", code(m.Ref)},
		{"Config", code(m.ConfigGitrev)},
	}
	rows = slices.DeleteFunc(rows, func(r []string) bool { return r[1] == "" })
	out.WriteString(table([]string{"", ""}, rows))
	out.WriteString(Images(m))
	if m.PkgDiff != nil {
		out.WriteString(diff(m.PkgDiff))
	}
	return out.String()
}

// Images is a table of the artifacts of a build.
func Images(m *workdir.Meta) string {
	var rows [][]string
	for _, name := range sortedKeys(m.Images) {
		image := m.Images[name]
		rows = append(rows, []string{Text(name), code(image.Path), Size(image.Size), code(image.SHA256)})
	}
	if len(rows) == 0 {
		return ""
	}
	return "\n" + table([]string{"Artifact", "File", "Size", "SHA-256"}, rows)
}

// Size is a number of bytes for people, with three digits.
func Size(n int64) string {
	if n <= 0 {
		return ""
	}
	return plan.Bytes.Text(n)
}
