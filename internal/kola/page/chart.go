package page

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nestos/nosa-actions/internal/boottime"
)

// startView is a start as the page shows it.
type startView struct {
	Guest   string
	Total   string
	Phases  []phaseView
	Slowest []unitView
	Slower  []string
	Chart   *chart
}

type phaseView struct{ Name, Class, Seconds, Before, Change string }

type unitView struct{ Name, Where, Seconds string }

// chart is a drawing of which the places across are parts of the width, so that
// it fits a phone and a desktop without its letters changing size.
type chart struct {
	Height int
	Bands  []band
	Ticks  []tick
	Bars   []bar
	Bottom int
	// Ignition tells that units of Ignition have a colour of their own.
	Ignition bool
}

type band struct{ X, W, Class, Name string }

type tick struct{ X, Text, Anchor string }

type bar struct {
	Text     string
	TextY, Y int
	X, W     string
	Class    string
}

// What is shown at most.
const (
	maxBars    = 40
	maxSlowest = 15
	maxSlower  = 10
	rowHeight  = 28 // pixels
	headHeight = 40
)

// classes colour the phases.
var classes = map[string]string{
	boottime.Firmware: "p0", boottime.Loader: "p1", boottime.Kernel: "p2", boottime.Initrd: "p3", boottime.Ignition: "p4", boottime.Userspace: "p5",
}

func newStart(s Start) startView {
	total, _ := s.Record.Phase(boottime.Total)
	v := startView{Guest: s.Guest, Total: seconds(total)}
	for _, p := range s.Record.Phases {
		shown := phaseView{Name: p.Name, Class: classes[p.Name], Seconds: fmt.Sprintf("%.2f s", p.Seconds)}
		if at := slices.IndexFunc(s.Phases, func(c boottime.Change) bool { return c.Name == p.Name }); at >= 0 {
			c := s.Phases[at]
			shown.Before, shown.Change = fmt.Sprintf("%.2f s", c.Before), fmt.Sprintf("%+.2f s", c.Slower())
		}
		v.Phases = append(v.Phases, shown)
	}
	for _, u := range s.Record.Slowest(maxSlowest) {
		v.Slowest = append(v.Slowest, unitView{u.Name, where(u), fmt.Sprintf("%.2f s", u.Seconds())})
	}
	for _, c := range s.Units[:min(len(s.Units), maxSlower)] {
		v.Slower = append(v.Slower, c.String())
	}
	v.Chart = draw(s.Record)
	return v
}

func where(u boottime.Unit) string {
	if u.Initrd {
		return "initrd"
	}
	return "system"
}

// draw puts the slowest units on a line of time, in the order of their begin,
// from when the kernel began. What lies before is not the guest's own time.
func draw(r *boottime.Record) *chart {
	units := r.Slowest(maxBars)
	units = slices.DeleteFunc(units, func(u boottime.Unit) bool { return u.Seconds() <= 0 })
	end, _ := r.Phase(boottime.Total)
	for _, u := range units {
		end = max(end, u.Finish)
	}
	if len(units) == 0 || end <= 0 {
		return nil
	}
	slices.SortStableFunc(units, func(a, b boottime.Unit) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), strings.Compare(a.Name, b.Name))
	})
	c := &chart{Height: headHeight + rowHeight*len(units) + 8, Bottom: headHeight + rowHeight*len(units)}
	c.bands(r, end)
	c.ticks(end)
	for n, u := range units {
		y := headHeight + rowHeight*n
		class := "system"
		switch {
		case u.Failed:
			class = "failed"
		case u.Initrd && strings.HasPrefix(u.Name, "ignition-"):
			class, c.Ignition = "p4", true
		case u.Initrd:
			class = "p3"
		}
		c.Bars = append(c.Bars, bar{
			Text: fmt.Sprintf("%s  %.2f s", shorten(u.Name), u.Seconds()), TextY: y + 13, Y: y + 17,
			X: percent(u.Start / end), W: percent(max(u.Seconds()/end, 0.004)), Class: class,
		})
	}
	return c
}

// bands are the phases from the kernel on. Ignition runs inside of the initrd,
// so that here both are one.
func (c *chart) bands(r *boottime.Record, end float64) {
	at := 0.0
	length := func(names ...string) (sum float64) {
		for _, name := range names {
			s, _ := r.Phase(name)
			sum += s
		}
		return sum
	}
	for _, b := range []struct {
		name    string
		seconds float64
	}{
		{boottime.Kernel, length(boottime.Kernel)}, {boottime.Initrd, length(boottime.Initrd, boottime.Ignition)},
		{boottime.Userspace, length(boottime.Userspace)},
	} {
		if b.seconds > 0 {
			c.Bands = append(c.Bands, band{percent(at / end), percent(b.seconds / end), classes[b.name], b.name})
			at += b.seconds
		}
	}
}

// ticks are four or so round numbers of seconds.
func (c *chart) ticks(end float64) {
	step := 1.0
	for _, s := range []float64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600} {
		if step = s; end/s <= 5 {
			break
		}
	}
	for at := 0.0; at <= end && len(c.Ticks) < 20; at += step {
		anchor := "middle"
		switch {
		case at == 0:
			anchor = "start"
		case at/end > 0.93:
			anchor = "end"
		}
		c.Ticks = append(c.Ticks, tick{percent(at / end), strconv.FormatFloat(at, 'f', -1, 64) + " s", anchor})
	}
}

func percent(part float64) string {
	return strconv.FormatFloat(100*min(1, max(0, part)), 'f', 2, 64) + "%"
}

// shorten keeps names of units to what a phone has room for.
func shorten(name string) string {
	const most = 30
	if r := []rune(name); len(r) > most {
		return string(r[:most-9]) + "…" + string(r[len(r)-8:])
	}
	return name
}
