package boottime

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Change is how one measure of a start compares with earlier ones.
type Change struct {
	Name   string  `json:"name"`   // of a phase or a unit
	Before float64 `json:"before"` // seconds: the median of the earlier starts
	After  float64 `json:"after"`  // seconds, at the speed of the earlier starts
	Noise  float64 `json:"noise"`  // seconds: how far unchanged starts lie apart
	New    bool    `json:"new,omitzero"`
}

// Slower is by how much it takes longer, in seconds.
func (c Change) Slower() float64 { return c.After - c.Before }

// sigmas is how many deviations are still noise. With a robust estimate over
// few starts the usual three would take chance for change.
const sigmas = 5

// Beyond tells whether the change is more than noise.
func (c Change) Beyond() bool { return c.Slower() > sigmas*c.Noise }

// least is the shortest unit, in seconds, of which the speed of a guest is told:
// shorter ones are nothing but noise.
const least = 0.05

// Speed is how much slower a start ran than the earlier ones: the median ratio of
// the units that both have. A slow machine makes all units slow; a slow unit is
// one among many.
func Speed(history []*Record, r *Record) float64 {
	usual := map[string][]float64{}
	for _, h := range history {
		for _, u := range h.Units {
			usual[u.key()] = append(usual[u.key()], u.Seconds())
		}
	}
	var ratios []float64
	for _, u := range r.Units {
		if before := median(usual[u.key()]); before >= least && u.Seconds() >= least {
			ratios = append(ratios, u.Seconds()/before)
		}
	}
	if len(ratios) < 5 { // too few to tell
		return 1
	}
	return median(ratios)
}

// Compare holds a start against earlier ones of the same kind of guest: the
// phases, and the units that are slower or new. The noise is that of the earlier
// starts, each brought to the speed of the others.
func Compare(history []*Record, r *Record) (phases, units []Change) {
	if len(history) == 0 {
		return nil, nil
	}
	speeds := make([]float64, len(history))
	for n, h := range history {
		speeds[n] = Speed(others(history, n), h)
	}
	speed := Speed(history, r)
	disturbed := disturbance(history, speeds, r, speed)
	for _, name := range Names() {
		after, ok := r.Phase(name)
		var before []float64
		for n, h := range history {
			if seconds, measured := h.Phase(name); measured {
				before = append(before, seconds/speeds[n])
			}
		}
		if ok && len(before) > 0 {
			c := change(name, before, after/speed)
			c.Noise = round(max(c.Noise, c.Before*disturbed))
			phases = append(phases, c)
		}
	}
	return phases, compareUnits(history, speeds, r, speed, disturbed)
}

// spread is how far the units of a start scatter around what they usually take,
// as a part of it: a robust deviation of the logarithms of the ratios.
func spread(usual map[string][]float64, r *Record, speed float64) float64 {
	var apart []float64
	for _, u := range r.Units {
		if before := median(usual[u.key()]); before >= least && u.Seconds() > 0 {
			apart = append(apart, math.Abs(math.Log(u.Seconds()/speed/before)))
		}
	}
	return normal * median(apart)
}

// disturbance is by how much the units of a start scatter more than those of the
// earlier ones do: the machine had other work at times, and the phases may be
// off by as much. With few earlier starts nothing is known of their own scatter.
func disturbance(history []*Record, speeds []float64, r *Record, speed float64) float64 {
	usual := durations(history, speeds)
	own := spread(usual, r, speed)
	if len(history) < known {
		return own
	}
	var before []float64
	for n, h := range history {
		before = append(before, spread(usual, h, speeds[n]))
	}
	return max(0, own-2*median(before))
}

// known is the number of earlier starts from which their own noise is known.
const known = 5

// durations are what each unit took in the earlier starts, at one speed.
func durations(history []*Record, speeds []float64) map[string][]float64 {
	usual := map[string][]float64{}
	for n, h := range history {
		for _, u := range h.Units {
			usual[u.key()] = append(usual[u.key()], u.Seconds()/speeds[n])
		}
	}
	return usual
}

func others(list []*Record, n int) []*Record {
	if len(list) == 1 {
		return list
	}
	return append(slices.Clone(list[:n]), list[n+1:]...)
}

// compareUnits finds what is slower beyond noise, the worst first.
func compareUnits(history []*Record, speeds []float64, r *Record, speed, disturbed float64) []Change {
	usual := durations(history, speeds)
	var out []Change
	for _, u := range r.Units {
		before := usual[u.key()]
		c := change(u.key(), before, u.Seconds()/speed)
		c.Noise = round(max(c.Noise, c.Before*disturbed))
		if c.New = len(before) == 0; c.New {
			c.After = u.Seconds() // nothing says that it depends on the speed
		}
		if c.Slower() > least && (c.New || c.Beyond()) {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b Change) int { return cmp.Compare(b.Slower(), a.Slower()) })
	return out
}

const normal = 1.4826 // from a median deviation to a standard one

// floor is the noise that is assumed at least: a part of the time itself, more
// where few starts were seen, and a tick.
func floor(before float64, starts int) float64 { return before*0.1/math.Sqrt(float64(starts)) + 0.005 }

func change(name string, before []float64, after float64) Change {
	m := median(before)
	var apart []float64
	for _, b := range before {
		apart = append(apart, math.Abs(b-m))
	}
	noise := max(normal*median(apart), floor(m, max(1, len(before))))
	return Change{Name: name, Before: round(m), After: round(after), Noise: round(noise)}
}

// median of no values is 0.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

// String tells a person: "userspace took 27.1 s, 2.0 s more than before (25.1 s)".
func (c Change) String() string {
	if c.New {
		return fmt.Sprintf("%s is new and takes %.1f s", c.Name, c.After)
	}
	return fmt.Sprintf("%s takes %.1f s, %.1f s more than before (%.1f s)", c.Name, c.After, c.Slower(), c.Before)
}
