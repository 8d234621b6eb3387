package report

import (
	"fmt"
	"strings"

	"github.com/nestos/nosa-actions/internal/plan"
)

// Plan tells what is foretold of a pipeline and how it stands to the limits.
type Plan struct {
	Forecast plan.Forecast
	Lines    []plan.Line
}

var verdictMarks = map[plan.Verdict]string{
	plan.Fits: "✅ fits", plan.Cut: "✂️ cut", plan.Tight: "⚠️ tight", plan.Refused: "❌ too much",
}

// Markdown is the section of the summary.
func (p Plan) Markdown() string {
	var out strings.Builder
	fmt.Fprintf(&out, "### Plan\n\nPackages: %s (%s)\n\n<details><summary>Limits</summary>\n\n",
		Text(p.Forecast.Packages.Text(plan.Bytes)), Text(string(p.Forecast.Sure)))
	var rows [][]string
	for _, l := range p.Lines {
		need := Text(l.Need.Text(l.Unit))
		if l.Need == (plan.Range{}) {
			need = "not known before"
		}
		allowed := Text(l.Unit.Text(l.Limit))
		if l.What == plan.Disk {
			allowed = "what is free" // the log says; a report is the same for the same inputs
		}
		rows = append(rows, []string{Text(l.What), need, allowed, verdictMarks[l.Verdict], Text(l.Mend)})
	}
	out.WriteString(table([]string{"Limit", "Foretold", "Allowed", "", "Mend"}, rows))
	out.WriteString("\n</details>\n")
	return out.String()
}
