package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Run is what a run of the whole workflow came to. It travels as an artifact of a
// run that may be a stranger's: all of it is text that somebody else claims.
type Run struct {
	Build   string  `json:"build,omitempty"`
	Version string  `json:"version,omitempty"`
	Commit  string  `json:"commit,omitempty"`
	Jobs    []Job   `json:"jobs,omitempty"`
	Suites  []Suite `json:"suites,omitempty"`
}

// Job is the end of a job.
type Job struct {
	Name   string `json:"name"`
	Result string `json:"result"` // success, failure, cancelled or skipped
}

// Suite is what the tests of one job came to.
type Suite struct {
	Name   string `json:"name"`
	Passed int    `json:"passed"`
	Failed []Test `json:"failed,omitempty"`
	Others int    `json:"others,omitempty"` // skipped, or warned
	// Seconds is the time of all tests, one after another.
	Seconds float64 `json:"seconds,omitempty"`
}

// Bounds of a Run: what is longer is cut when it is made, and refused or cut when
// it is read.
const (
	MaxRun    = 4 << 20 // bytes of its JSON
	maxSuites = 256
	maxFailed = 50
	maxOutput = 4 << 10
	maxText   = 200
)

// NewSuite sums up a test run for a Run.
func NewSuite(name string, t *Tests) Suite {
	s := Suite{Name: name}
	var time time.Duration
	for _, test := range t.Tests {
		time += test.Duration
	}
	s.Seconds = time.Seconds()
	for _, test := range t.All() {
		switch test.Result {
		case "PASS":
			s.Passed++
		case "FAIL":
			s.Failed = append(s.Failed, Test{Name: test.Name, Result: test.Result, Duration: test.Duration, Output: tail(test.Output)})
		default:
			s.Others++
		}
	}
	return s
}

// JSON is the Run for an artifact, within its bounds.
func (r Run) JSON() ([]byte, error) {
	r.bound()
	return json.MarshalIndent(r, "", "  ")
}

// ReadRun reads what JSON wrote, from whomever. It takes no more than MaxRun bytes
// of any reader, no unknown fields, and cuts what is too long.
func ReadRun(in io.Reader) (*Run, error) {
	data, err := io.ReadAll(io.LimitReader(in, MaxRun+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxRun {
		return nil, fmt.Errorf("the report has more than %d bytes", MaxRun)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var r Run
	if err := dec.Decode(&r); err != nil {
		return nil, fmt.Errorf("the report is not as it should be: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("the report has something after its end")
	}
	r.bound()
	return &r, nil
}

func (r *Run) bound() {
	for _, text := range []*string{&r.Build, &r.Version, &r.Commit} {
		*text = cut(*text, maxText)
	}
	r.Jobs = append([]Job(nil), r.Jobs[:min(len(r.Jobs), maxSuites)]...)
	for i := range r.Jobs {
		r.Jobs[i].Name, r.Jobs[i].Result = cut(r.Jobs[i].Name, maxText), cut(r.Jobs[i].Result, maxText)
	}
	r.Suites = append([]Suite(nil), r.Suites[:min(len(r.Suites), maxSuites)]...)
	failed := 0
	for i := range r.Suites {
		s := &r.Suites[i]
		s.Name, s.Passed, s.Others = cut(s.Name, maxText), max(s.Passed, 0), max(s.Others, 0)
		keep := min(len(s.Failed), maxFailed-failed)
		failed += keep
		s.Failed = append([]Test(nil), s.Failed[:keep]...)
		for j, t := range s.Failed {
			// The end of the output tells most.
			if over := len(t.Output) - maxOutput; over > 0 {
				t.Output = strings.ToValidUTF8(t.Output[over:], "")
			}
			s.Failed[j] = Test{Name: cut(t.Name, maxText), Result: "FAIL", Duration: t.Duration, Output: t.Output}
		}
	}
}

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}

// Markdown tells the run in at most limit bytes: what does not fit is left out from
// the end, and that is said.
func (r *Run) Markdown(limit int) string {
	const rest = "\n*The rest is in the logs of the run.*\n"
	var out strings.Builder
	for _, part := range r.parts() {
		if out.Len()+len(part)+len(rest) > limit {
			out.WriteString(rest)
			break
		}
		out.WriteString(part)
	}
	return out.String()
}

// parts are the sections, the most important first.
func (r *Run) parts() []string {
	var parts []string
	if r.Build != "" {
		line := "Build " + code(r.Build)
		if r.Commit != "" {
			line += ", commit " + code(r.Commit)
		}
		parts = append(parts, line+"\n\n")
	}
	var rows [][]string
	for _, j := range r.Jobs {
		rows = append(rows, []string{Text(j.Name), jobMark(j.Result)})
	}
	parts = append(parts, table([]string{"Job", "Result"}, rows))
	rows = nil
	for _, s := range r.Suites {
		rows = append(rows, []string{Text(s.Name), fmt.Sprint(s.Passed), fmt.Sprint(len(s.Failed)), fmt.Sprint(s.Others), seconds(s.Seconds)})
	}
	parts = append(parts, "\n"+table([]string{"Tests", "Passed", "Failed", "Others", "Time"}, rows))
	for _, s := range r.Suites {
		for _, t := range s.Failed {
			title := fmt.Sprintf("❌ %s (%s)", Text(t.Name), Text(s.Name))
			if t.Output == "" {
				parts = append(parts, "\n"+title+"\n")
				continue
			}
			parts = append(parts, fmt.Sprintf("\n<details><summary>%s</summary>\n\n%s\n</details>\n", title, block(tail(t.Output))))
		}
	}
	return parts
}

func seconds(s float64) string {
	if !(s > 0 && s < 1e7) {
		return ""
	}
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}

var jobMarks = map[string]string{"success": "✅ success", "failure": "❌ failure", "cancelled": "⏹ cancelled", "skipped": "⏭ skipped"}

func jobMark(result string) string {
	if mark, ok := jobMarks[result]; ok {
		return mark
	}
	return Text(result)
}
