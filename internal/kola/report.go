package kola

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/machine"
)

// Report is the outcome of a run.
type Report struct {
	Tests    []Result `json:"tests"`
	Verdict  Verdict  `json:"result"`
	Platform string   `json:"platform"`
	Version  string   `json:"version"`
}

// OutputMarker is the file that tells an output directory of ours, which may be
// erased for the next run, from any other, which is left alone.
const OutputMarker = ".harness_temp"

// PrepareOutput makes an empty output directory, in place of an earlier one.
func PrepareOutput(dir string) error {
	_, err := os.Stat(dir)
	base := filepath.Base(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case strings.HasPrefix(base, "_") && strings.HasSuffix(base, "_temp"), hasMarker(dir):
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	default:
		return fmt.Errorf("output directory %s exists and is not one of ours (it has no %s); remove it or choose another", dir, OutputMarker)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, OutputMarker), nil, 0o644)
}

func hasMarker(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, OutputMarker))
	return err == nil
}

// Save writes test.tap, reports/report.json and reports/junit.xml below dir.
func (r Report) Save(dir string) error {
	reports := filepath.Join(dir, "reports")
	if err := os.MkdirAll(reports, 0o755); err != nil {
		return err
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	junit, err := r.JUnit()
	if err != nil {
		return err
	}
	return errors.Join(
		atomicfile.Write(filepath.Join(reports, "report.json"), append(line, '\n'), 0o644),
		atomicfile.Write(filepath.Join(reports, "junit.xml"), junit, 0o644),
		atomicfile.Write(filepath.Join(dir, "test.tap"), r.TAP(), 0o644),
	)
}

// TAP is the report in the Test Anything Protocol, version 12.
func (r Report) TAP() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "1..%d\n", len(r.Tests))
	for i, t := range r.Tests {
		word, directive := "ok", ""
		switch t.Verdict {
		case Fail:
			word = "not ok"
		case Warn:
			word, directive = "not ok", " # TODO a failure only warns"
		case Skip:
			directive = " # SKIP"
		}
		fmt.Fprintf(&b, "%s %d - %s%s\n", word, i+1, t.Name, directive)
	}
	return b.Bytes()
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure"`
	Skipped *struct{}     `xml:"skipped"`
	Output  string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit is the report as JUnit XML: a case for each subtest, and for each test
// what is not in one. Failures that only warn are cases that passed, with
// their output.
func (r Report) JUnit() ([]byte, error) {
	suite := junitSuite{Name: "kola." + r.Platform}
	var total time.Duration
	for _, t := range r.Tests {
		total += t.Duration
		suite.addTree(t, t.Verdict == Warn)
	}
	suite.Time = seconds(total)
	out, err := xml.MarshalIndent(suite, "", "  ")
	if err != nil {
		return nil, err
	}
	return append([]byte(xml.Header), append(out, '\n')...), nil
}

// addTree adds what is in a result and then itself. One that failed only in its
// subtests is not counted once more.
func (s *junitSuite) addTree(r Result, warn bool) {
	warn = warn || r.Verdict == Warn
	for _, sub := range r.Subtests {
		s.addTree(sub, warn)
	}
	inSubtests := slices.ContainsFunc(r.Subtests, func(s Result) bool { return s.Verdict == Fail })
	if r.Verdict == Fail && r.Output == "" && inSubtests {
		return
	}
	if warn && r.Verdict == Fail {
		r.Verdict = Warn
	}
	s.add(r)
}

func (s *junitSuite) add(r Result) {
	c := junitCase{Name: r.Name, Class: s.Name, Time: seconds(r.Duration)}
	s.Tests++
	switch r.Verdict {
	case Fail:
		s.Failures++
		first, _, _ := strings.Cut(r.Output, "\n")
		c.Failure = &junitFailure{Message: clean(first), Text: clean(r.Output)}
	case Skip:
		s.Skipped++
		c.Skipped = &struct{}{}
	default:
		c.Output = clean(r.Output)
	}
	s.Cases = append(s.Cases, c)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// clean leaves out what XML cannot hold, which consoles are full of.
func clean(text string) string { return machine.Plain([]byte(text)) }

// Summary prints the last lines of a run for a person.
func (r Report) Summary(w io.Writer, dir string) {
	word := "PASS"
	if r.Verdict == Fail || r.Verdict == Warn {
		word = "FAIL"
	}
	fmt.Fprintf(w, "%s, output in %s\n", word, dir)
}
