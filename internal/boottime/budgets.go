package boottime

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
)

// FileName is where a config says what its images may take.
const FileName = "budgets.yaml"

// Budgets is budgets.yaml:
//
//	boot:                 # seconds, by phase: firmware, boot loader, kernel, ...
//	  userspace: {seconds: 1, percent: 10, most: 30}
//	  total: {percent: 20}
//	size:                 # bytes, by artifact: qemu, ostree, ...
//	  qemu: {bytes: 20 MiB, percent: 5, most: 1 GiB}
type Budgets struct {
	Boot []Budget
	Size []Budget
}

// Budget bounds one measure. It is kept if the measure is at most Most, and has
// grown since the previous build by no more than the larger of Growth and
// Percent.
type Budget struct {
	Name    string
	Growth  float64 // seconds or bytes; 0: not set
	Percent float64 // of what it was; 0: not set
	Most    float64 // seconds or bytes; 0: not set
	Pos     diag.Pos
}

// allowed is the growth that is still kept; ok is false if none was set.
func (b Budget) allowed(before float64) (growth float64, ok bool) {
	return max(b.Growth, before*b.Percent/100), b.Growth > 0 || b.Percent > 0
}

// ReadBudgets reads budgets.yaml and gathers what is wrong with it in found. A
// missing file sets no budget.
func ReadBudgets(file string, found *diag.List) (Budgets, error) {
	doc, err := document.Load(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Budgets{}, nil
	}
	if findings := diag.Findings(err); findings != nil {
		found.Findings = append(found.Findings, findings...)
		return Budgets{}, nil
	} else if err != nil {
		return Budgets{}, err
	}
	var out Budgets
	if doc.Kind == document.Null || !doc.Expect(found, document.Map) {
		return out, nil
	}
	for _, f := range doc.Fields {
		switch f.Key {
		case "boot":
			out.Boot = budgets(f.Value, seconds, found)
			for _, b := range out.Boot {
				if !slices.Contains(Names(), b.Name) {
					found.Add(diag.Finding{Pos: b.Pos, Message: fmt.Sprintf("unknown phase %q", b.Name), Mend: "known are " + strings.Join(Names(), ", ")})
				}
			}
		case "size":
			out.Size = budgets(f.Value, bytes, found)
		default:
			found.Add(diag.Finding{Pos: f.Pos, Message: fmt.Sprintf("unknown key %q", f.Key), Mend: "known are boot and size"})
		}
	}
	return out, nil
}

// unit reads a number of seconds or bytes.
type unit struct {
	key   string // of Growth
	parse func(string) (float64, error)
	what  string
}

var (
	seconds = unit{"seconds", parseSeconds, "a number of seconds"}
	bytes   = unit{"bytes", parseBytes, "a size such as 20 MiB"}
)

func budgets(n document.Node, u unit, found *diag.List) []Budget {
	var out []Budget
	if n.Kind == document.Null || !n.Expect(found, document.Map) {
		return nil
	}
	for _, f := range n.Fields {
		b := Budget{Name: f.Key, Pos: f.Pos}
		if !f.Value.Expect(found, document.Map) {
			continue
		}
		for _, limit := range f.Value.Fields {
			switch limit.Key {
			case u.key:
				b.Growth = number(limit.Value, u.parse, u.what, found)
			case "percent":
				b.Percent = number(limit.Value, parsePercent, "a percentage such as 5", found)
			case "most":
				b.Most = number(limit.Value, u.parse, u.what, found)
			default:
				found.Add(diag.Finding{Pos: limit.Pos, Message: fmt.Sprintf("unknown key %q", limit.Key), Mend: fmt.Sprintf("known are %s, percent and most", u.key)})
			}
		}
		if len(f.Value.Fields) == 0 {
			found.Addf(f.Pos, "the budget of %s has no limit", f.Key)
		}
		out = append(out, b)
	}
	return out
}

func number(n document.Node, parse func(string) (float64, error), what string, found *diag.List) float64 {
	word := fmt.Sprint(n.Any())
	v, err := parse(word)
	if err != nil || !(v > 0) || math.IsInf(v, 0) { // nothing is larger than NaN
		found.Addf(n.Pos, "%q is not %s above 0", word, what)
		return 0
	}
	return v
}

func parseSeconds(word string) (float64, error) {
	return strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(word, "s")), 64)
}

func parsePercent(word string) (float64, error) {
	return strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(word, "%")), 64)
}

func parseBytes(word string) (float64, error) {
	scale := 1.0
	for _, u := range []struct {
		suffix string
		scale  float64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}} {
		if rest, ok := strings.CutSuffix(word, u.suffix); ok {
			word, scale = rest, u.scale
			break
		}
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(word), 64)
	return n * scale, err
}

// Enough is the number of earlier starts that it takes to tell growth from noise.
const Enough = 3

// CheckBoot holds a start against the budgets. What is beyond its budget is a
// finding at the budget's place; growth that may be noise is none. With fewer than
// Enough earlier starts only what a budget says of the most is judged.
func (b Budgets) CheckBoot(history []*Record, r *Record) []diag.Finding {
	phases, units := Compare(history, r)
	var out []diag.Finding
	for _, budget := range b.Boot {
		now, measured := r.Phase(budget.Name)
		if !measured {
			continue
		}
		if budget.Most > 0 && now > budget.Most {
			out = append(out, diag.Finding{Pos: budget.Pos, Message: fmt.Sprintf("%s takes %.1f s, more than %.1f s", budget.Name, now, budget.Most)})
			continue
		}
		at := slices.IndexFunc(phases, func(c Change) bool { return c.Name == budget.Name })
		if at < 0 || len(history) < Enough {
			continue
		}
		if finding, over := budget.grown(phases[at], units); over {
			out = append(out, finding)
		}
	}
	return out
}

// grown judges the growth of a phase. A unit alone that takes the whole budget
// is as good a reason as the phase, whose noise is that of all its units.
func (b Budget) grown(phase Change, units []Change) (diag.Finding, bool) {
	growth, limited := b.allowed(phase.Before)
	if !limited {
		return diag.Finding{}, false
	}
	var culprits []string
	worst := 0.0
	for _, u := range units {
		if b.covers(u.Name) && u.Slower() > growth/4 && len(culprits) < 3 {
			culprits = append(culprits, u.String())
			worst = max(worst, u.Slower())
		}
	}
	if (phase.Slower() <= growth || !phase.Beyond()) && worst <= growth {
		return diag.Finding{}, false
	}
	message := phase.String()
	if len(culprits) > 0 {
		message += ": " + strings.Join(culprits, ", ")
	}
	return diag.Finding{Pos: b.Pos, Message: fmt.Sprintf("%s; allowed are %.1f s", message, growth)}, true
}

// covers tells whether a unit belongs to the phase.
func (b Budget) covers(unit string) bool {
	name, initrd := strings.CutPrefix(unit, "initrd/")
	ignition := initrd && strings.HasPrefix(name, "ignition-")
	switch b.Name {
	case Total:
		return true
	case Userspace:
		return !initrd
	case Ignition:
		return ignition
	case Initrd:
		return initrd && !ignition
	}
	return false
}

// CheckSizes holds the sizes of artifacts, in bytes, against the budgets; before
// may be nil.
func (b Budgets) CheckSizes(before, now map[string]int64) []diag.Finding {
	var out []diag.Finding
	for _, budget := range b.Size {
		size, made := now[budget.Name]
		if !made {
			continue
		}
		old, known := before[budget.Name]
		growth, limited := budget.allowed(float64(old))
		switch {
		case budget.Most > 0 && float64(size) > budget.Most:
			out = append(out, diag.Finding{Pos: budget.Pos, Message: fmt.Sprintf("%s takes %s, more than %s", budget.Name, Size(float64(size)), Size(budget.Most))})
		case known && limited && float64(size-old) > growth:
			out = append(out, diag.Finding{Pos: budget.Pos, Message: fmt.Sprintf("%s takes %s, %s more than before; allowed are %s",
				budget.Name, Size(float64(size)), Size(float64(size-old)), Size(growth))})
		}
	}
	return out
}

// Size shows a number of bytes to a person.
func Size(n float64) string {
	for _, u := range []struct {
		suffix string
		scale  float64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.scale || -n >= u.scale {
			return strconv.FormatFloat(n/u.scale, 'f', 1, 64) + " " + u.suffix
		}
	}
	return strconv.FormatFloat(n, 'f', 0, 64) + " bytes"
}
