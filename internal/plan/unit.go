package plan

import (
	"fmt"
	"time"
)

// Unit is what a figure counts.
type Unit int

// Units of figures.
const (
	Count Unit = iota
	Bytes
	Characters
	Duration // nanoseconds
)

// Text is a figure for people.
func (u Unit) Text(n int64) string {
	switch u {
	case Bytes:
		return size(n)
	case Duration:
		d := time.Duration(n)
		if d < time.Hour {
			return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
		}
		return fmt.Sprintf("%.1f h", d.Hours())
	}
	return fmt.Sprint(n)
}

func size(n int64) string {
	value, unit := float64(n), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if value < 1000 {
			break
		}
		value, unit = value/1000, next
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.3g %s", value, unit)
}

// Range is a figure that is not known exactly.
type Range struct{ Low, High int64 }

// Exactly is a figure that is.
func Exactly(n int64) Range { return Range{n, n} }

// Text is the range for people.
func (r Range) Text(u Unit) string {
	low, high := u.Text(r.Low), u.Text(r.High)
	if low == high {
		return high
	}
	return low + " to " + high
}

func (r Range) plus(o Range) Range { return Range{r.Low + o.Low, r.High + o.High} }

func (r Range) times(factor float64) Range {
	return Range{int64(float64(r.Low) * factor), int64(float64(r.High) * factor)}
}

func (r Range) max(o Range) Range { return Range{max(r.Low, o.Low), max(r.High, o.High)} }
