package ostree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nestos/nosa-actions/internal/diag"
)

// StatoverrideName is the file in the root of an overlay that sets modes which
// files of a git repository cannot have.
const StatoverrideName = "statoverride"

// StatOverride is one line of a statoverride file.
type StatOverride struct {
	Set  bool        // set the mode; else add its bits
	Mode fs.FileMode // as in Unix, with the bits for setuid, setgid and sticky
	Path string      // absolute in the overlay
	Pos  diag.Pos
}

// ReadStatoverride reads the statoverride file in the root of an overlay: lines
// "=MODE PATH" and "+MODE PATH" with a decimal MODE, and comments after #. What
// is wrong with a line, or with what it names, is gathered in found. An overlay
// without the file has no overrides.
func ReadStatoverride(overlay string, found *diag.List) ([]StatOverride, error) {
	file := filepath.Join(overlay, StatoverrideName)
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []StatOverride
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		o, ok := parseStatoverride(line, diag.Pos{File: file, Line: number}, found)
		if !ok {
			continue
		}
		// The commit passes over a path that is not there, and the file in the
		// tree has the wrong mode.
		if _, err := os.Lstat(filepath.Join(overlay, o.Path)); err != nil {
			found.Addf(o.Pos, "the overlay has no %s", o.Path)
			continue
		}
		all = append(all, o)
	}
	return all, nil
}

// parseStatoverride reads a line; ok is false if there is nothing to heed.
func parseStatoverride(line string, pos diag.Pos, found *diag.List) (o StatOverride, ok bool) {
	text := strings.TrimSpace(line)
	if text == "" || text[0] == '#' {
		return o, false
	}
	pos.Column = strings.Index(line, text) + 1
	mode, path, spaced := strings.Cut(text, " ")
	o.Path, o.Pos = strings.TrimSpace(path), pos
	digits, set := strings.CutPrefix(mode, "=")
	o.Set = set
	if !set {
		digits = strings.TrimPrefix(mode, "+")
	}
	value, err := strconv.ParseUint(digits, 10, 16)
	switch {
	case !spaced || err != nil || value > 0o7777:
		found.Add(diag.Finding{
			Pos: pos, Message: fmt.Sprintf("%q is no line of a statoverride", text),
			Mend: "write =MODE PATH or +MODE PATH with MODE in decimal, for example =288 /etc/sudoers.d/x for 0440",
		})
		return o, false
	case !strings.HasPrefix(o.Path, "/"):
		found.Add(diag.Finding{Pos: pos, Message: fmt.Sprintf("path %q is not absolute", o.Path), Mend: "begin it with /"})
		return o, false
	case len(digits) > 1 && digits[0] == '0':
		octal, err := strconv.ParseUint(digits, 8, 16)
		if err == nil {
			found.Add(diag.Finding{
				Severity: diag.Warning, Pos: pos, Message: fmt.Sprintf("mode %s is read as decimal, which is %#o", digits, value),
				Mend: fmt.Sprintf("write %d if %s was meant", octal, digits),
			})
		}
	}
	o.Mode = fs.FileMode(value)
	return o, true
}

// line is the override as libostree reads it.
func (o StatOverride) line() string {
	sign := "+"
	if o.Set {
		sign = "="
	}
	return fmt.Sprintf("%s%d %s\n", sign, o.Mode, o.Path)
}
