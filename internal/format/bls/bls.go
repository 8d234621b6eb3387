// Package bls reads boot entries as the Boot Loader Specification, type 1,
// defines them: one key and its value a line.
package bls

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
)

// maxSize bounds what is taken for an entry; real ones have some hundred bytes.
const maxSize = 1 << 20

// Entry is one boot entry. Keys that may come several times are lists, in the
// order of the file.
type Entry struct {
	Title   string
	Version string
	Linux   string   // path of the kernel, from the root of the boot file system
	Initrd  []string // paths of the initial RAM disks
	Options []string // kernel arguments, over all options lines
	Other   map[string][]string
}

// Parse reads the text of an entry. An entry without a kernel is an error.
func Parse(text []byte) (Entry, error) {
	if len(text) > maxSize {
		return Entry{}, fmt.Errorf("boot entry of %d bytes is too long", len(text))
	}
	e := Entry{Other: map[string][]string{}}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxSize+1)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, value := line, ""
		if at := strings.IndexAny(line, " \t"); at >= 0 {
			key, value = line[:at], strings.TrimSpace(line[at:])
		}
		if value == "" {
			return Entry{}, fmt.Errorf("boot entry line %d: key %q has no value", n, key)
		}
		e.set(key, value)
	}
	if err := lines.Err(); err != nil {
		return Entry{}, fmt.Errorf("boot entry: %w", err)
	}
	if e.Linux == "" {
		return Entry{}, fmt.Errorf("boot entry names no kernel: key linux is missing")
	}
	return e, nil
}

func (e *Entry) set(key, value string) {
	switch key {
	case "title":
		e.Title = value
	case "version":
		e.Version = value
	case "linux":
		e.Linux = value
	case "initrd":
		e.Initrd = append(e.Initrd, strings.Fields(value)...)
	case "options":
		e.Options = append(e.Options, strings.Fields(value)...)
	default:
		e.Other[key] = append(e.Other[key], value)
	}
}
