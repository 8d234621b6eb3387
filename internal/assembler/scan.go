package assembler

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/nestos/nosa-actions/internal/diag"
)

// maxLine bounds what is kept of a line without an end.
const maxLine = 64 << 10

// finding is a line as diag.Finding prints it. The column may be missing.
var finding = regexp.MustCompile(`^([^\s:][^:]*):(\d{1,9})(?::(\d{1,9}))?: (warning: )?(\S.*)$`)

// scanner passes output on and picks the findings out of it.
type scanner struct {
	mu       sync.Mutex // both streams end here
	config   string     // directory that the files of findings are relative to
	mount    string     // where the stage sees the work directory, if elsewhere
	log      func(string)
	findings []diag.Finding
	last     string // last line on standard error that says something
}

func (s *scanner) plain(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.log != nil {
		s.log(line)
	}
}

func (s *scanner) line(line string) {
	s.plain(line)
	if text := strings.TrimSpace(line); text != "" {
		s.last = strings.TrimPrefix(text, "error: ")
	}
	if f, ok := s.parse(line); ok {
		s.findings = append(s.findings, f)
	}
}

// parse reads a finding about a file of the config. Other lines that happen to
// look like one name no such file.
func (s *scanner) parse(line string) (diag.Finding, bool) {
	m := finding.FindStringSubmatch(strings.TrimPrefix(line, "error: "))
	if m == nil {
		return diag.Finding{}, false
	}
	file, ok := s.resolve(m[1])
	if !ok {
		return diag.Finding{}, false
	}
	f := diag.Finding{Pos: diag.Pos{File: file}, Message: m[5]}
	f.Pos.Line, _ = strconv.Atoi(m[2])
	f.Pos.Column, _ = strconv.Atoi(m[3])
	if m[4] != "" {
		f.Severity = diag.Warning
	}
	return f, true
}

// resolve gives the real path of a file of the config.
func (s *scanner) resolve(file string) (string, bool) {
	root, err := filepath.EvalSymlinks(s.config)
	if err != nil {
		return "", false
	}
	if s.mount != "" {
		file = strings.TrimPrefix(file, s.mount+"/")
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(root, strings.TrimPrefix(file, "src/config/"))
	}
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		return "", false
	}
	if rel, err := filepath.Rel(root, real); err != nil || !filepath.IsLocal(rel) {
		return "", false
	}
	info, err := os.Stat(real)
	return real, err == nil && info.Mode().IsRegular()
}

// lines cuts what is written into lines.
type lines struct {
	each func(string)
	rest []byte
}

func (l *lines) Write(p []byte) (int, error) {
	for _, c := range p {
		if c == '\n' || len(l.rest) == maxLine {
			l.flushLine()
		}
		if c != '\n' {
			l.rest = append(l.rest, c)
		}
	}
	return len(p), nil
}

func (l *lines) flushLine() {
	l.each(strings.TrimRight(string(l.rest), "\r"))
	l.rest = l.rest[:0]
}

func (l *lines) flush() {
	if len(l.rest) > 0 {
		l.flushLine()
	}
}
