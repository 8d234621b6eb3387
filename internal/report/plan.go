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
		rows = append(rows, []string{Text(l.What), need, Text(l.Unit.Text(l.Limit)), verdictMarks[l.Verdict], Text(l.Mend)})
	}
	out.WriteString(table([]string{"Limit", "Foretold", "Allowed", "", "Mend"}, rows))
	out.WriteString("\n</details>\n")
	return out.String()
}

// Measured is a line for the summary: what a stage needed beside what was foretold.
func Measured(m plan.Measurement) string {
	var parts []string
	for _, row := range m.Rows() {
		parts = append(parts, fmt.Sprintf("%s %s (foretold %s)", Text(row[0]), Text(row[2]), Text(row[1])))
	}
	return "\n<sub>Needed " + strings.Join(parts, ", ") + "</sub>\n"
}
