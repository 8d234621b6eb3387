package document

import (
	"bytes"
	"errors"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/nestos/nosa-actions/internal/diag"
)

func parseYAML(name string, data []byte) (Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return Node{Pos: diag.Pos{File: name}}, nil
	} else if err != nil {
		return Node{}, syntaxError(name, data, err)
	}
	var next yaml.Node
	if err := dec.Decode(&next); err == nil {
		return Node{}, fail(diag.Pos{File: name, Line: next.Line, Column: next.Column}, "a second YAML document begins; only one is allowed")
	} else if !errors.Is(err, io.EOF) {
		return Node{}, syntaxError(name, data, err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return Node{Pos: diag.Pos{File: name}}, nil
	}
	c := converter{file: name, left: maxNodes}
	n := c.convert(doc.Content[0], "", 0)
	if c.full {
		n = Node{}
	}
	return n, c.found.Err()
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// syntaxError gives yaml.v3's message the place which it has in its text. That
// knows no column, so it is where the line's text begins.
func syntaxError(name string, data []byte, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	pos := diag.Pos{File: name, Line: 1, Column: 1}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		pos.Line, _ = strconv.Atoi(m[1])
		pos.Column = indentation(data, pos.Line) + 1
		text = strings.TrimPrefix(text, m[0])
	}
	return fail(pos, "not valid YAML: %s", text)
}

// indentation counts the blanks at the beginning of a line.
func indentation(data []byte, line int) int {
	for range line - 1 {
		_, data, _ = bytes.Cut(data, []byte("\n"))
	}
	text, _, _ := bytes.Cut(data, []byte("\n"))
	return len(text) - len(bytes.TrimLeft(text, " "))
}

// converter makes our nodes of yaml.v3's.
type converter struct {
	file  string
	left  budget
	full  bool // the limit was reached and reported
	found diag.List
}

func (c *converter) convert(y *yaml.Node, path string, depth int) Node {
	n := Node{Pos: c.pos(y), Path: path}
	if c.full {
		return n
	}
	if err := c.left.spend(depth); err != nil {
		c.full = true
		c.found.Addf(n.Pos, "%v", err)
		return n
	}
	switch y.Kind {
	case yaml.AliasNode:
		target := c.convert(y.Alias, path, depth+1)
		target.Pos = n.Pos
		return target
	case yaml.SequenceNode:
		n.Kind = List
		n.Items = make([]Node, len(y.Content))
		for i, e := range y.Content {
			n.Items[i] = c.convert(e, item(path, i), depth+1)
		}
	case yaml.MappingNode:
		n.Kind = Map
		n.Fields = c.fields(y, path, depth)
	default:
		c.scalar(&n, y)
	}
	return n
}

func (c *converter) pos(y *yaml.Node) diag.Pos {
	return diag.Pos{File: c.file, Line: y.Line, Column: y.Column}
}

func (c *converter) fields(y *yaml.Node, path string, depth int) []Field {
	fields := make([]Field, 0, len(y.Content)/2)
	seen := make(map[string]int, len(y.Content)/2)
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, pos := y.Content[i], c.pos(y.Content[i])
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		switch {
		case key.Kind != yaml.ScalarNode:
			c.found.Addf(pos, "a key must be a string, not %s", kindOf(key))
			continue
		case key.ShortTag() == "!!merge":
			c.found.Addf(pos, "merge keys (<<) are not supported; write the keys out")
			continue
		}
		if line, twice := seen[key.Value]; twice {
			c.found.Addf(pos, "key %q is given twice; the first is on line %d", key.Value, line)
			continue
		}
		seen[key.Value] = pos.Line
		value := c.convert(y.Content[i+1], child(path, key.Value), depth+1)
		fields = append(fields, Field{Key: key.Value, Pos: pos, Value: value})
	}
	return fields
}

func kindOf(y *yaml.Node) Kind {
	if y.Kind == yaml.SequenceNode {
		return List
	}
	return Map
}

// scalar fills in the kind by YAML's core schema; what that does not know, such
// as a date, is a string.
func (c *converter) scalar(n *Node, y *yaml.Node) {
	n.Kind, n.Text = String, y.Value
	switch y.ShortTag() {
	case "!!null":
		n.Kind = Null
	case "!!bool":
		n.Kind, n.Text = Bool, strings.ToLower(y.Value)
	case "!!int":
		var value any
		if err := y.Decode(&value); err != nil {
			return
		}
		n.number(value)
	case "!!float":
		var value float64
		if err := y.Decode(&value); err != nil {
			return
		}
		if math.IsInf(value, 0) || math.IsNaN(value) {
			c.found.Addf(n.Pos, "%s is not a number that JSON can hold", y.Value)
			return
		}
		n.Kind = Float
	}
}

// number stores an integer in decimal whatever its notation.
func (n *Node) number(value any) {
	switch v := value.(type) {
	case int:
		n.Kind, n.Text = Int, strconv.Itoa(v)
	case int64:
		n.Kind, n.Text = Int, strconv.FormatInt(v, 10)
	case uint64:
		n.Kind, n.Text = Int, strconv.FormatUint(v, 10)
	case float64: // too large for an integer
		n.Kind = Float
	}
}

// scalar is the Go value of a boolean or number.
func (n Node) scalar() any {
	switch n.Kind {
	case Bool:
		return n.Text == "true"
	case Int:
		if i, err := strconv.ParseInt(n.Text, 10, 64); err == nil {
			return i
		}
		if u, err := strconv.ParseUint(n.Text, 10, 64); err == nil {
			return u
		}
	}
	f, _ := strconv.ParseFloat(strings.ReplaceAll(n.Text, "_", ""), 64)
	return f
}
