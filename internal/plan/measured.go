package plan

import (
	"fmt"
	"strings"
	"time"
)

// Measurement is what a stage needed, beside what was foretold.
type Measurement struct {
	Forecast Forecast
	Disk     int64 // bytes, the most at a time
	Time     time.Duration
}

// Rows are the figures as name, foretold, measured.
func (m Measurement) Rows() [][3]string {
	f := m.Forecast
	disk := Range{max(0, f.Disk.Low-baseTools), f.Disk.High} // tools were installed before
	return [][3]string{
		{"disk", disk.Text(Bytes), Bytes.Text(m.Disk)},
		{"time", f.Time.Text(Duration), Duration.Text(int64(m.Time))},
	}
}

// Text is the measurement for a log.
func (m Measurement) Text() string {
	var out strings.Builder
	for _, row := range m.Rows() {
		fmt.Fprintf(&out, "%s: foretold %s (%s), needed %s\n", row[0], row[1], m.Forecast.Sure, row[2])
	}
	return out.String()
}
