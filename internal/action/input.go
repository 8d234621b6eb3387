package action

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nestos/nosa-actions/internal/diag"
)

// inputPrefix begins the variables that carry inputs. The runner's own INPUT_*
// do not exist in the run steps of a composite action, so each action.yml maps
// every input to one of these under env.
const inputPrefix = "NOSA_INPUT_"

// InputVariable is the environment variable that carries an input.
func InputVariable(name string) string {
	return inputPrefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// Inputs that are wrong are gathered; ask InputErr once all are read.

// Input reads an input of one line, without the blanks around it. An input that
// is not set is empty.
func (s *Step) Input(name string) string {
	value := strings.TrimSpace(s.raw(name))
	if strings.ContainsAny(value, "\r\n\x00") {
		s.wrong(name, "has more than one line", "")
		return ""
	}
	return value
}

// Required is Input, and an empty one is wrong.
func (s *Step) Required(name string) string {
	value := s.Input(name)
	if value == "" {
		s.wrong(name, "is required", "")
	}
	return value
}

// Bool reads true or false; empty is false.
func (s *Step) Bool(name string) bool {
	switch value := s.Input(name); strings.ToLower(value) {
	case "true":
		return true
	case "", "false":
		return false
	default:
		s.wrong(name, fmt.Sprintf("is %q", value), "write true or false")
		return false
	}
}

// Int reads a whole number from low to high; empty is 0.
func (s *Step) Int(name string, low, high int) int {
	value := s.Input(name)
	if value == "" {
		return 0
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		s.wrong(name, fmt.Sprintf("is %q", value), fmt.Sprintf("write a whole number from %d to %d", low, high))
		return 0
	}
	return n
}

// List reads words separated by commas, blanks, or line breaks.
func (s *Step) List(name string) []string {
	words := strings.FieldsFunc(s.raw(name), func(r rune) bool {
		return r == ',' || r == ' ' || r == '\t' || r == '\r' || r == '\n'
	})
	for i, word := range words {
		if slices.Contains(words[:i], word) {
			s.wrong(name, fmt.Sprintf("names %q twice", word), "")
		}
	}
	return words
}

// Lines reads an input of several lines, each without the blanks around it; empty
// ones are left out.
func (s *Step) Lines(name string) []string {
	var lines []string
	for line := range strings.Lines(s.raw(name)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// Choices is List with known words only.
func (s *Step) Choices(name string, known ...string) []string {
	words := s.List(name)
	for _, word := range words {
		if !slices.Contains(known, word) {
			s.wrong(name, fmt.Sprintf("has the unknown word %q", word), "known are "+strings.Join(known, ", "))
		}
	}
	return words
}

// Wrong notes a fault of an input that only the caller could see, and the mend.
func (s *Step) Wrong(name, fault, mend string) { s.wrong(name, fault, mend) }

// InputErr is the list of all that is wrong with the inputs read so far, or nil.
func (s *Step) InputErr() error { return s.inputs.Err() }

// InputNames are the inputs that were asked for so far.
func (s *Step) InputNames() []string { return slices.Sorted(slices.Values(s.names)) }

// maxInput is how long an input may be, in bytes: more than any path, and less
// than what no program could be given as an argument.
const maxInput = 16 << 10

// maxJSON is how long an input of JSON may be that GitHub has made, such as the results
// of the 256 jobs of a matrix: what Linux takes as one variable, less its name.
const maxJSON = 120 << 10

// JSON reads an input that is JSON.
func (s *Step) JSON(name string, value any) error {
	return json.Unmarshal([]byte(s.upTo(maxJSON, name)), value)
}

func (s *Step) raw(name string) string { return s.upTo(maxInput, name) }

// upTo reads an input of at most so many bytes.
func (s *Step) upTo(most int, name string) string {
	s.names = append(s.names, name)
	value, set := s.lookup(InputVariable(name))
	switch {
	case !set:
		s.wrong(name, "is not mapped to "+InputVariable(name), "map it under env in action.yml")
	case len(value) > most:
		s.wrong(name, fmt.Sprintf("is %d bytes long", len(value)), fmt.Sprintf("at most %d are allowed", most))
		return ""
	case !utf8.ValidString(value):
		s.wrong(name, "is not UTF-8", "")
		return ""
	case strings.ContainsFunc(value, deceptive):
		s.wrong(name, "has a character that is not to be seen, such as a control character", "write it anew")
		return ""
	}
	return value
}

// deceptive are characters that make a log or a page look other than it is. The
// joiners of scripts and emoji are not among them.
func deceptive(r rune) bool {
	switch r {
	case '\n', '\r', '\t':
		return false
	case '\u2028', '\u2029', '\u200b', '\ufeff': // separators of lines, blanks without width
		return true
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}

func (s *Step) wrong(name, fault, mend string) {
	s.inputs.Add(diag.Finding{Message: fmt.Sprintf("input %s %s", name, fault), Mend: mend})
}
