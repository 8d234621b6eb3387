package plan

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Table is the forecast against the limits, for a log.
func Table(f Forecast, lines []Line) string {
	var out strings.Builder
	fmt.Fprintf(&out, "packages %s (%s), artifacts %s\n", f.Packages.Text(Bytes), f.Sure, f.Artifact.Text(Bytes))
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LIMIT\tFORETOLD\tALLOWED\tVERDICT")
	for _, l := range lines {
		need := l.Need.Text(l.Unit)
		if l.Need == (Range{}) {
			need = "not known before"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", l.What, need, l.Unit.Text(l.Limit), l.Verdict)
	}
	_ = w.Flush()
	return out.String()
}
