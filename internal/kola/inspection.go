package kola

import "io"

// InspectionName is the test that looks into the image without booting it. It
// has no guest: who runs the tests runs it first.
const InspectionName = "inspect"

// Inspection is that test, for selecting it like any other.
func Inspection() Case {
	return Case{Name: InspectionName, Meta: Meta{
		Tags: []string{"basic"}, NonExclusive: true,
		Description: "the image is whole and what the build says, seen without booting it",
	}}
}

// Add puts results of tests that had no guest before and behind the others.
func (r *Report) Add(first, last []Result) {
	r.Tests = append(append(first, r.Tests...), last...)
	r.Verdict = overall(r.Tests)
}

// Announce prints the outcome of such a test as Run does.
func Announce(w io.Writer, res Result) { announce(w, res) }
