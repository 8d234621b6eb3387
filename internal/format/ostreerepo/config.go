package ostreerepo

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/atomicfile"
)

// Option is a line of a repository's configuration. One without a value is to be
// taken away.
type Option struct {
	Section, Key, Value string
}

// Configure changes options of the repository in dir, as the ostree program's
// config command does one at a time. Values stand as they are: without line
// breaks, backslashes and space at their ends, which the format would have
// escaped.
//
// Format: the key files of GLib.
func Configure(dir string, options ...Option) error {
	path := filepath.Join(dir, "config")
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, configured(old, options), 0o644)
}

func configured(text []byte, options []Option) []byte {
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	for _, o := range options {
		lines = o.set(lines)
	}
	var out bytes.Buffer
	for _, line := range lines {
		out.WriteString(line + "\n")
	}
	return out.Bytes()
}

// set changes the last line of the key in the section, which is the one that
// counts, and takes others away.
func (o Option) set(lines []string) []string {
	section, end := "", -1 // end: behind the section's last line that says something
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		if strings.HasPrefix(line, "[") {
			section = line
		}
		if section != "["+o.Section+"]" || line == "" {
			continue
		}
		if key, _, ok := strings.Cut(line, "="); ok && strings.TrimSpace(key) == o.Key {
			lines = slices.Delete(lines, i, i+1)
			i--
			continue
		}
		end = i + 1
	}
	switch {
	case o.Value == "":
		return lines
	case end < 0:
		return append(lines, "", "["+o.Section+"]", o.Key+"="+o.Value)
	}
	return slices.Insert(lines, end, o.Key+"="+o.Value)
}
