package document

import (
	"slices"
	"strconv"
	"strings"

	"github.com/agext/levenshtein"

	"github.com/nestos/nosa-actions/internal/diag"
)

// The methods below take a typed value from a node. When the node is of another
// kind they add a finding and return the zero value and false.

// Expect tells whether the node is of one of the kinds.
func (n Node) Expect(found *diag.List, kinds ...Kind) bool {
	if slices.Contains(kinds, n.Kind) {
		return true
	}
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.String()
	}
	mend := ""
	scalar := n.Kind == Bool || n.Kind == Int || n.Kind == Float
	if scalar && slices.Contains(kinds, String) {
		mend = "put it in quotes"
	}
	if n.Kind == String && slices.Contains(kinds, Bool) {
		mend = "write true or false, without quotes"
	}
	found.Add(diag.Finding{Pos: n.Pos, Message: n.Prefix("must be " + strings.Join(names, " or ") + ", not " + n.Describe()), Mend: mend})
	return false
}

// Prefix puts the node's path before a message.
func (n Node) Prefix(message string) string {
	if n.Path == "" {
		return message
	}
	return n.Path + ": " + message
}

// Reject adds a finding about the node: its path and the message.
func (n Node) Reject(found *diag.List, message, mend string) {
	found.Add(diag.Finding{Pos: n.Pos, Message: n.Prefix(message), Mend: mend})
}

// AsString takes a string.
func (n Node) AsString(found *diag.List) (string, bool) {
	if !n.Expect(found, String) {
		return "", false
	}
	return n.Text, true
}

// AsBool takes a boolean.
func (n Node) AsBool(found *diag.List) (value, ok bool) {
	if !n.Expect(found, Bool) {
		return false, false
	}
	return n.Text == "true", true
}

// AsInt takes an integer that fits 64 bits with sign.
func (n Node) AsInt(found *diag.List) (int64, bool) {
	if !n.Expect(found, Int) {
		return 0, false
	}
	i, err := strconv.ParseInt(n.Text, 10, 64)
	if err != nil {
		n.Reject(found, "number "+shorten(n.Text)+" is out of range", "")
		return 0, false
	}
	return i, true
}

// AsStrings takes a list of strings and checks every item.
func (n Node) AsStrings(found *diag.List) ([]string, bool) {
	if !n.Expect(found, List) {
		return nil, false
	}
	values, ok := make([]string, 0, len(n.Items)), true
	for _, e := range n.Items {
		text, fits := e.AsString(found)
		values, ok = append(values, text), ok && fits
	}
	if !ok {
		return nil, false
	}
	return values, true
}

// KnownKeys checks that the node is a mapping and adds a finding for every key
// that is not among the known ones.
func (n Node) KnownKeys(found *diag.List, known ...string) bool {
	if !n.Expect(found, Map) {
		return false
	}
	for _, f := range n.Fields {
		if !slices.Contains(known, f.Key) {
			found.Add(Unknown(f, known))
		}
	}
	return true
}

// Unknown is the finding about an unknown key; it names the nearest known one.
func Unknown(f Field, known []string) diag.Finding {
	finding := diag.Finding{Pos: f.Pos, Message: "unknown key " + strconv.Quote(shorten(f.Value.Path))}
	if f.Value.Path == "" {
		finding.Message = "unknown key " + strconv.Quote(shorten(f.Key))
	}
	if near, ok := Nearest(f.Key, known); ok {
		finding.Mend = "did you mean " + strconv.Quote(near) + "?"
	}
	return finding
}

// Nearest finds the name that word was probably meant to be. It is not found
// where more than about a third of the word would have to change.
func Nearest(word string, names []string) (string, bool) {
	best, distance := "", 1+max(1, len(word)/3)
	sorted := slices.Sorted(slices.Values(names))
	for _, name := range sorted {
		if len(name)-len(word) >= distance || len(word)-len(name) >= distance {
			continue
		}
		if d := levenshtein.Distance(word, name, nil); d < distance {
			best, distance = name, d
		}
	}
	return best, best != ""
}
