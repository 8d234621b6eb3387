package inspect

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// defect is a finding as JSON.
type defect struct {
	Where   string `json:"where"`
	Line    int    `json:"line,omitzero"`
	Message string `json:"message"`
	Warning bool   `json:"warning,omitzero"`
}

// JSON gives facts and defects.
func (r *Report) JSON() ([]byte, error) {
	defects := []defect{}
	for _, d := range r.Defects {
		defects = append(defects, defect{d.Pos.File, d.Pos.Line, d.Message, d.Severity != 0})
	}
	out, err := json.MarshalIndent(struct {
		Image
		Defects []defect `json:"defects"`
	}{r.Image, defects}, "", "  ")
	return append(out, '\n'), err
}

// Print shows the facts to a person; packages are counted.
func (r *Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(key, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", key, clean(fmt.Sprintf(format, args...)))
	}
	row("image", "%s, %d MiB", r.Format, r.Size>>20)
	if r.Volume != "" {
		row("label", "%s", r.Volume)
	}
	if v := r.OSRelease["PRETTY_NAME"]; v != "" {
		row("system", "%s", v)
	}
	if d := r.Deployment; d != nil {
		row("commit", "%s", d.Commit)
		row("version", "%s, of %s", d.Version, d.Timestamp)
		row("stateroot", "%s, origin %s", d.Stateroot, d.Origin)
		row("packages", "%d", len(r.Packages))
	}
	if a := r.Aleph; a != nil {
		row("installed as", "%s", a.ImageID)
	}
	for _, p := range r.Partitions {
		fs := "-"
		if f := p.Filesystem; f != nil {
			fs = fmt.Sprintf("%s %q %s", f.Type, f.Label, f.UUID)
			if f.Free != nil {
				fs += fmt.Sprintf(", %d MiB free", *f.Free>>20)
			}
		}
		row(fmt.Sprintf("partition %d", p.Number), "%s, %d MiB, %s", p.Label, p.Size>>20, fs)
	}
	for _, f := range r.Files {
		row(f.Path, "%d bytes", f.Size)
	}
	for _, e := range r.Entries {
		row("boots", "%s", e.Title)
		row("kernel", "%s", e.Kernel)
		row("arguments", "%s", strings.Join(e.Kargs, " "))
	}
	if len(r.Console) > 0 {
		row("grub console", "%s", strings.Join(r.Console, "; "))
	}
	if r.Format != ISO {
		row("first boot", "%s", map[bool]string{true: "still to come", false: "over"}[r.FirstBoot])
	}
	return t.Flush()
}

// clean takes what steers a terminal out of foreign text.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return '?'
		}
		return r
	}, text)
}
