package report

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// Tests are the verdicts of a run of kola, as in its report.json.
type Tests struct {
	Tests    []Test `json:"tests"`
	Result   string `json:"result"` // PASS or FAIL
	Platform string `json:"platform"`
}

// Test is one verdict.
type Test struct {
	Name     string        `json:"name"`
	Subtests []Test        `json:"subtests"`
	Result   string        `json:"result"` // PASS, FAIL, SKIP, WARN
	Duration time.Duration `json:"duration"`
	Output   string        `json:"output"`
}

// maxReport bounds what is read of a report.
const maxReport = 64 << 20

// ReadTests reads a report.json.
func ReadTests(path string) (*Tests, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxReport {
		return nil, fmt.Errorf("%s has %d bytes; at most %d are read", path, info.Size(), maxReport)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var t Tests
	if err := json.Unmarshal(data, &t); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &t, nil
}

// All lists the tests with their subtests, those that only hold subtests too.
func (t *Tests) All() []Test {
	var all []Test
	var add func([]Test)
	add = func(list []Test) {
		for _, test := range list {
			all = append(all, test)
			add(test.Subtests)
		}
	}
	add(t.Tests)
	return all
}

// Count is the number of tests with a result.
func (t *Tests) Count(result string) int {
	n := 0
	for _, test := range t.All() {
		if test.Result == result {
			n++
		}
	}
	return n
}

var marks = map[string]string{"PASS": "✅ passed", "FAIL": "❌ failed", "SKIP": "⏭ skipped", "WARN": "⚠️ warning"}

// Markdown is the section of the summary: failed tests first, with the end of
// what they said.
func (t *Tests) Markdown() string {
	var out strings.Builder
	fmt.Fprintf(&out, "### Tests on %s: %d passed, %d failed\n\n", Text(t.Platform), t.Count("PASS"), t.Count("FAIL"))
	var first, rest [][]string
	for _, test := range t.All() {
		row := []string{verdict(test.Result), Text(test.Name), test.Duration.Round(100 * time.Millisecond).String()}
		if test.Result == "FAIL" {
			first = append(first, row)
		} else {
			rest = append(rest, row)
		}
	}
	out.WriteString(table([]string{"Result", "Test", "Time"}, append(first, rest...)))
	for _, test := range t.All() {
		if test.Result == "FAIL" && test.Output != "" {
			fmt.Fprintf(&out, "\n<details><summary>%s</summary>\n\n%s\n</details>\n", Text(test.Name), block(tail(test.Output)))
		}
	}
	return out.String()
}

func verdict(result string) string {
	if mark, ok := marks[result]; ok {
		return mark
	}
	return Text(result)
}

// tail is the last lines of an output.
func tail(s string) string {
	const keep = 40
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	if len(lines) > keep {
		lines = lines[len(lines)-keep:]
	}
	return strings.Join(lines, "\n")
}
