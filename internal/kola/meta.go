package kola

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/agext/levenshtein"
	"gopkg.in/yaml.v3"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/machine"
)

// Meta is what a test says about itself, the "kola" metadata of its header. The
// zero value means: its own guest, everywhere, ten minutes.
type Meta struct {
	Architectures Only // rpm names
	Platforms     Only // such as qemu
	Distros       Only // such as nestos
	Tags          []string
	RequiredTag   string // run only with this tag given, or when named

	Disks        []machine.Disk
	NICs         int
	MinMemoryMiB int
	MinDiskGiB   int

	KernelArgs          string // permanent
	FirstbootKernelArgs string

	NonExclusive        bool // may share a guest
	Conflicts           []string
	TimeoutMin          int // 0: default
	AllowConfigWarnings bool
	InjectContainer     bool
	NoInstanceCreds     bool
	Description         string
}

// Only is a list of names to which something is limited, or with Not, that are
// excluded. Empty means no limit.
type Only struct {
	Not   bool
	Names []string
}

// parseOnly reads "a b", "!a b" and "! a b".
func parseOnly(text string) Only {
	rest, not := strings.CutPrefix(strings.TrimSpace(text), "!")
	return Only{Not: not, Names: strings.Fields(rest)}
}

// Allows tells whether name is within the limit.
func (o Only) Allows(name string) bool {
	return len(o.Names) == 0 || slices.Contains(o.Names, name) != o.Not
}

// String prints the list as it is written in a header.
func (o Only) String() string {
	text := strings.Join(o.Names, " ")
	if o.Not {
		text = "!" + text
	}
	return text
}

const (
	headerLimit = 8 << 10 // bytes of an executable that are searched
	yamlStart   = "## kola:"
	yamlPrefix  = "## "
	jsonStart   = "# kola: "
)

// ParseHeader reads the metadata of a test executable: a YAML block whose first
// line starts "## kola:" and whose further lines start "## ", or the older form
// of one line "# kola: {JSON}". found is false if there is none. A block that
// reaches the end of what is searched is ignored, as it may be cut off.
func ParseHeader(file string, content []byte, list *diag.List) (meta Meta, found bool) {
	if len(content) > headerLimit {
		content = content[:headerLimit]
	}
	lines := bytes.Split(content, []byte("\n"))
	var blocks []block
	for i := 0; i < len(lines); i++ {
		line := string(lines[i])
		switch {
		case strings.HasPrefix(line, yamlStart):
			b := block{line: i + 1, column: len(yamlPrefix)}
			for ; i < len(lines) && strings.HasPrefix(string(lines[i]), yamlPrefix); i++ {
				b.text += string(lines[i][len(yamlPrefix):]) + "\n"
			}
			if i < len(lines) {
				blocks = append(blocks, b)
			}
		case strings.HasPrefix(line, jsonStart):
			blocks = append(blocks, block{line: i + 1, column: len("# "), text: line[len("# "):] + "\n"})
		}
	}
	if len(blocks) == 0 {
		return Meta{}, false
	}
	if len(blocks) > 1 {
		list.Addf(diag.Pos{File: file, Line: blocks[1].line}, "second kola header; the first is in line %d", blocks[0].line)
	}
	return blocks[0].parse(file, list), true
}

// block is metadata within a file.
type block struct {
	line   int // of its first line, from 1
	column int // characters of each line that were cut off
	text   string
}

func (b block) parse(file string, list *diag.List) Meta {
	r := reader{file: file, block: b, list: list}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(b.text), &doc); err != nil {
		line, why := syntaxError(err)
		list.Addf(diag.Pos{File: file, Line: b.line + line}, "kola header: %s", why)
		return Meta{}
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode || len(root.Content) != 2 || root.Content[0].Value != "kola" {
		r.addf(root, "kola header must hold the one key kola")
		return Meta{}
	}
	return r.meta(root.Content[1])
}

// syntaxError takes apart "yaml: line N: WHY"; line counts from 0.
func syntaxError(err error) (line int, why string) {
	why = strings.TrimPrefix(err.Error(), "yaml: ")
	number, rest, ok := strings.Cut(strings.TrimPrefix(why, "line "), ": ")
	if n, err := strconv.Atoi(number); ok && err == nil && n > 0 {
		return n - 1, rest
	}
	return 0, why
}

// parseKolaJSON reads kola.json, the metadata of all tests of a directory that
// have no header.
func parseKolaJSON(file string, content []byte, list *diag.List) Meta {
	var doc yaml.Node
	if err := yaml.Unmarshal(content, &doc); err != nil || len(doc.Content) == 0 {
		list.Addf(diag.Pos{File: file}, "not JSON: %v", err)
		return Meta{}
	}
	r := reader{file: file, block: block{line: 1}, list: list}
	return r.meta(doc.Content[0])
}

// reader turns nodes into metadata and remembers what is wrong with them.
type reader struct {
	file  string
	block block
	list  *diag.List
}

func (r reader) pos(n *yaml.Node) diag.Pos {
	return diag.Pos{File: r.file, Line: r.block.line + n.Line - 1, Column: r.block.column + n.Column}
}

func (r reader) addf(n *yaml.Node, format string, args ...any) {
	r.list.Addf(r.pos(n), format, args...)
}

func (r reader) meta(n *yaml.Node) Meta {
	var m Meta
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return m
	}
	if n.Kind != yaml.MappingNode {
		r.addf(n, "kola metadata must be a mapping")
		return m
	}
	fields := m.fields()
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		set, ok := fields[key.Value]
		switch {
		case !ok:
			r.unknown(key, fields)
		case seen[key.Value]:
			r.addf(key, "key %q is given twice", key.Value)
		default:
			if err := set(value); err != nil {
				r.addf(value, "%s: %v", key.Value, err)
			} else if known, limited := limits[key.Value]; limited {
				for _, name := range parseOnly(value.Value).Names {
					warnUnknown(r.pos(value), key.Value, name, known, r.list)
				}
			}
		}
		seen[key.Value] = true
	}
	if m.NonExclusive && m.KernelArgs != "" {
		r.addf(n, "a test with appendKernelArgs cannot share a guest; remove exclusive: false")
	}
	if !m.NonExclusive && len(m.Conflicts) > 0 {
		r.addf(n, "conflicts makes sense only with exclusive: false")
	}
	return m
}

func (r reader) unknown(key *yaml.Node, fields map[string]func(*yaml.Node) error) {
	nearest, best := "", 4
	for name := range fields {
		if d := levenshtein.Distance(strings.ToLower(key.Value), strings.ToLower(name), nil); d < best || d == best && name < nearest {
			nearest, best = name, d
		}
	}
	if nearest == "" {
		r.addf(key, "unknown key %q", key.Value)
		return
	}
	r.addf(key, "unknown key %q; did you mean %q?", key.Value, nearest)
}

// fields says how each key of the metadata is read.
func (m *Meta) fields() map[string]func(*yaml.Node) error {
	return map[string]func(*yaml.Node) error{
		"architectures":             func(n *yaml.Node) error { return readOnly(n, &m.Architectures) },
		"platforms":                 func(n *yaml.Node) error { return readOnly(n, &m.Platforms) },
		"distros":                   func(n *yaml.Node) error { return readOnly(n, &m.Distros) },
		"tags":                      func(n *yaml.Node) error { return readWords(n, &m.Tags) },
		"requiredTag":               func(n *yaml.Node) error { return readString(n, &m.RequiredTag) },
		"additionalDisks":           func(n *yaml.Node) error { return readDisks(n, &m.Disks) },
		"additionalNics":            func(n *yaml.Node) error { return readInt(n, &m.NICs, 16) },
		"minMemory":                 func(n *yaml.Node) error { return readInt(n, &m.MinMemoryMiB, 1<<20) },
		"minDisk":                   func(n *yaml.Node) error { return readInt(n, &m.MinDiskGiB, 1<<14) },
		"appendKernelArgs":          func(n *yaml.Node) error { return readString(n, &m.KernelArgs) },
		"appendFirstbootKernelArgs": func(n *yaml.Node) error { return readString(n, &m.FirstbootKernelArgs) },
		"exclusive": func(n *yaml.Node) error {
			exclusive := true
			err := readBool(n, &exclusive)
			m.NonExclusive = !exclusive
			return err
		},
		"conflicts":           func(n *yaml.Node) error { return readList(n, &m.Conflicts) },
		"timeoutMin":          func(n *yaml.Node) error { return readInt(n, &m.TimeoutMin, 24*60) },
		"allowConfigWarnings": func(n *yaml.Node) error { return readBool(n, &m.AllowConfigWarnings) },
		"injectContainer":     func(n *yaml.Node) error { return readBool(n, &m.InjectContainer) },
		"noInstanceCreds":     func(n *yaml.Node) error { return readBool(n, &m.NoInstanceCreds) },
		"description":         func(n *yaml.Node) error { return readString(n, &m.Description) },
	}
}

func readString(n *yaml.Node, to *string) error {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return fmt.Errorf("must be a string")
	}
	*to = n.Value
	return nil
}

func readOnly(n *yaml.Node, to *Only) error {
	var text string
	if err := readString(n, &text); err != nil {
		return err
	}
	*to = parseOnly(text)
	return nil
}

func readWords(n *yaml.Node, to *[]string) error {
	var text string
	if err := readString(n, &text); err != nil {
		return err
	}
	*to = strings.Fields(text)
	return nil
}

func readInt(n *yaml.Node, to *int, limit int) error {
	value, err := strconv.Atoi(n.Value)
	if err != nil || n.Kind != yaml.ScalarNode || n.Tag != "!!int" || value < 0 || value > limit {
		return fmt.Errorf("must be a whole number from 0 to %d", limit)
	}
	*to = value
	return nil
}

func readBool(n *yaml.Node, to *bool) error {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		return fmt.Errorf("must be true or false")
	}
	return n.Decode(to)
}

func readList(n *yaml.Node, to *[]string) error {
	if n.Kind != yaml.SequenceNode {
		return fmt.Errorf("must be a list of strings")
	}
	for _, item := range n.Content {
		var text string
		if err := readString(item, &text); err != nil {
			return fmt.Errorf("must be a list of strings")
		}
		*to = append(*to, text)
	}
	return nil
}

func readDisks(n *yaml.Node, to *[]machine.Disk) error {
	var specs []string
	if err := readList(n, &specs); err != nil {
		return err
	}
	for _, spec := range specs {
		d, err := machine.ParseDisk(spec)
		if err != nil {
			return err
		}
		*to = append(*to, d)
	}
	return nil
}
