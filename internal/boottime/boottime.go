// Package boottime measures how long a system takes to start, phase by phase and
// unit by unit, out of what it says itself: systemd's journal. All times are the
// guest's own clock, so that what the host does before and beside is left out.
package boottime

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Record is one measured start. As JSON its keys are stable; new ones may come.
type Record struct {
	Build  string `json:"build,omitempty"` // id
	Commit string `json:"commit,omitempty"`
	// Machine tells kinds of guests apart whose times cannot be compared, such
	// as those with KVM and those without.
	Machine string  `json:"machine,omitempty"`
	Phases  []Phase `json:"phases"` // in their order
	Units   []Unit  `json:"units"`  // by their begin
}

// Phase is a part of the start; the phases follow one another.
type Phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

// Names of the phases. Ignition runs within the initrd, of which the time is
// taken off.
const (
	Firmware  = "firmware"
	Loader    = "boot loader"
	Kernel    = "kernel"
	Initrd    = "initrd"
	Ignition  = "ignition"
	Userspace = "userspace"
	Total     = "total" // of those that are the guest's own: kernel to userspace
)

// Names lists the phases that a budget can be set for, in their order.
func Names() []string {
	return []string{Firmware, Loader, Kernel, Initrd, Ignition, Userspace, Total}
}

// Unit is the start of one unit of systemd. Times are seconds since the kernel
// began.
type Unit struct {
	Name   string  `json:"name"`
	Start  float64 `json:"start"`
	Finish float64 `json:"finish"`
	Initrd bool    `json:"initrd,omitzero"`
	Failed bool    `json:"failed,omitzero"`
}

// Seconds is how long the unit took to start.
func (u Unit) Seconds() float64 { return u.Finish - u.Start }

// key tells the units of the initrd from those of the same name later on.
func (u Unit) key() string {
	if u.Initrd {
		return "initrd/" + u.Name
	}
	return u.Name
}

// Phase is the length of a phase in seconds; ok is false if it was not measured.
func (r *Record) Phase(name string) (seconds float64, ok bool) {
	for _, p := range r.Phases {
		switch {
		case name == Total && p.Name != Firmware && p.Name != Loader:
			seconds, ok = seconds+p.Seconds, true
		case p.Name == name:
			return p.Seconds, true
		}
	}
	return seconds, ok
}

// Slowest are the units that took longest, at most n.
func (r *Record) Slowest(n int) []Unit {
	units := slices.Clone(r.Units)
	slices.SortStableFunc(units, func(a, b Unit) int {
		return cmp.Or(cmp.Compare(b.Seconds(), a.Seconds()), strings.Compare(a.Name, b.Name))
	})
	return units[:min(n, len(units))]
}

// Text shows the phases and the units, the slowest first, as systemd-analyze does
// with time and blame.
func (r *Record) Text() string {
	var b strings.Builder
	for _, p := range r.Phases {
		fmt.Fprintf(&b, "%10.3fs %s\n", p.Seconds, p.Name)
	}
	b.WriteString("\n")
	for _, u := range r.Slowest(len(r.Units)) {
		fmt.Fprintf(&b, "%10.3fs %s\n", u.Seconds(), u.key())
	}
	return b.String()
}

// Ids of messages of systemd: src/systemd/sd-messages.h.in.
const (
	unitStarting  = "7d4958e842da4a758f6c1cdc7b36dcc5"
	unitStarted   = "39f53479d3a045ac8e11786248231fbf"
	unitFailed    = "be02cf6855d2428ba40df7e9d022f03d"
	bootFinished  = "b07a249cd024414a82dd00cd181378ff"
	maxJournalRow = 4 << 20 // bytes
	maxUnits      = 5000
)

// ErrIncomplete says that a journal does not reach to the end of the start.
var ErrIncomplete = errors.New("the journal does not tell how long the start took")

// row is what is read of a line of the journal; other fields may be of any type.
type row struct {
	Boot      text `json:"_BOOT_ID"`
	Monotonic text `json:"__MONOTONIC_TIMESTAMP"`
	Scope     text `json:"_RUNTIME_SCOPE"`
	ID        text `json:"MESSAGE_ID"`
	Unit      text `json:"UNIT"`
	Kernel    text `json:"KERNEL_USEC"`
	Initrd    text `json:"INITRD_USEC"`
	Userspace text `json:"USERSPACE_USEC"`
}

// text is a field that journald writes as a string; what it writes otherwise,
// lists and bytes, is empty here.
type text string

func (t *text) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) == nil {
		*t = text(s)
	}
	return nil
}

// micros are microseconds; what is no such number is 0.
func (t text) micros() float64 {
	n, err := strconv.ParseUint(string(t), 10, 63)
	if err != nil || n > math.MaxInt64/2 {
		return 0
	}
	return float64(n) / 1e6
}

// Read takes the first start out of a journal in the format of journalctl -o
// json, one object a line. Lines that are none are passed over.
func Read(journal io.Reader) (*Record, error) {
	lines := bufio.NewScanner(journal)
	lines.Buffer(nil, maxJournalRow)
	b := builder{open: map[string]Unit{}}
	for lines.Scan() {
		var r row
		if json.Unmarshal(lines.Bytes(), &r) == nil {
			b.add(r)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if !b.finished {
		return nil, ErrIncomplete
	}
	return b.record(), nil
}

// builder gathers the units of one start.
type builder struct {
	boot                      text
	open                      map[string]Unit
	units                     []Unit
	finished                  bool
	kernel, initrd, userspace float64
}

func (b *builder) add(r row) {
	if b.boot == "" {
		b.boot = r.Boot
	}
	if r.Boot != b.boot || b.finished {
		return
	}
	at := r.Monotonic.micros()
	u := Unit{Name: string(r.Unit), Start: at, Finish: at, Initrd: r.Scope == "initrd"}
	switch r.ID {
	case unitStarting:
		if _, twice := b.open[u.key()]; !twice && u.Name != "" {
			b.open[u.key()] = u
		}
	case unitStarted, unitFailed:
		begun, known := b.open[u.key()]
		if known {
			u.Start = begun.Start
			delete(b.open, u.key())
		}
		u.Failed = r.ID == unitFailed
		if u.Name != "" && len(b.units) < maxUnits {
			b.units = append(b.units, u)
		}
	case bootFinished:
		b.finished = true
		b.kernel, b.initrd, b.userspace = r.Kernel.micros(), r.Initrd.micros(), r.Userspace.micros()
	}
}

func (b *builder) record() *Record {
	slices.SortStableFunc(b.units, func(x, y Unit) int { return cmp.Compare(x.Start, y.Start) })
	r := &Record{Units: b.units}
	ignition := busy(b.units, func(u Unit) bool { return u.Initrd && strings.HasPrefix(u.Name, "ignition-") })
	r.Phases = append(r.Phases, Phase{Kernel, b.kernel})
	if b.initrd > 0 {
		ignition = min(ignition, b.initrd)
		r.Phases = append(r.Phases, Phase{Initrd, round(b.initrd - ignition)})
	}
	if ignition > 0 {
		r.Phases = append(r.Phases, Phase{Ignition, round(ignition)})
	}
	r.Phases = append(r.Phases, Phase{Userspace, b.userspace})
	return r
}

// busy is the time in which at least one of the units was starting.
func busy(units []Unit, is func(Unit) bool) float64 {
	total, until := 0.0, 0.0
	for _, u := range units { // by their begin
		if is(u) && u.Finish > until {
			total += u.Finish - max(u.Start, until)
			until = u.Finish
		}
	}
	return total
}

// round leaves microseconds, so that sums look like what they are sums of.
func round(seconds float64) float64 { return math.Round(seconds*1e6) / 1e6 }

// Before puts what came before the kernel in front: seconds from the power
// switch to the boot loader, and from there to the kernel.
func (r *Record) Before(firmware, loader float64) {
	r.Phases = append([]Phase{{Firmware, round(firmware)}, {Loader, round(loader)}}, r.Phases...)
}
