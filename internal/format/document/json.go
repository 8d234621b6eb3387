package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/nestos/nosa-actions/internal/diag"
)

func parseJSON(name string, data []byte) (Node, error) {
	p := jsonParser{file: name, data: data, dec: json.NewDecoder(bytes.NewReader(data)), left: maxNodes}
	p.dec.UseNumber()
	for i, b := range data {
		if b == '\n' {
			p.lines = append(p.lines, i+1)
		}
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return Node{Pos: diag.Pos{File: name}}, nil
	}
	n, err := p.value("", 0)
	if err != nil {
		return Node{}, p.locate(err)
	}
	if at := p.next(); at < len(data) {
		return Node{}, fail(p.pos(at), "not valid JSON: more text after the value")
	}
	return n, nil
}

// jsonParser reads tokens and notes where each began.
type jsonParser struct {
	file  string
	data  []byte
	lines []int // offsets at which the second and later lines begin
	dec   *json.Decoder
	left  budget
}

// next is the offset of the next token.
func (p *jsonParser) next() int {
	at := int(p.dec.InputOffset())
	for at < len(p.data) && strings.IndexByte(" \t\r\n,:", p.data[at]) >= 0 {
		at++
	}
	return at
}

func (p *jsonParser) pos(offset int) diag.Pos {
	offset = min(max(offset, 0), len(p.data))
	line := sort.SearchInts(p.lines, offset+1)
	start := 0
	if line > 0 {
		start = p.lines[line-1]
	}
	return diag.Pos{File: p.file, Line: line + 1, Column: utf8.RuneCount(p.data[start:offset]) + 1}
}

// locate turns the decoder's error into a finding about the token at fault.
func (p *jsonParser) locate(err error) error {
	if diag.Findings(err) != nil {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fail(p.pos(len(p.data)), "not valid JSON: it ends too early")
	}
	return fail(p.pos(p.next()), "not valid JSON: %v", err)
}

func (p *jsonParser) value(path string, depth int) (Node, error) {
	n := Node{Pos: p.pos(p.next()), Path: path}
	if err := p.left.spend(depth); err != nil {
		return n, fail(n.Pos, "%v", err)
	}
	token, err := p.dec.Token()
	if err != nil {
		return n, err
	}
	switch v := token.(type) {
	case json.Delim:
		if v == '[' {
			return p.list(n, depth)
		}
		return p.object(n, depth)
	case bool:
		n.Kind, n.Text = Bool, "false"
		if v {
			n.Text = "true"
		}
	case json.Number:
		n.Kind, n.Text = Int, v.String()
		if strings.ContainsAny(n.Text, ".eE") {
			n.Kind = Float
		}
		if _, err := v.Float64(); err != nil {
			return n, fail(n.Pos, "number %s is out of range", shorten(n.Text))
		}
	case string:
		n.Kind, n.Text = String, v
	}
	return n, nil
}

func (p *jsonParser) list(n Node, depth int) (Node, error) {
	n.Kind, n.Items = List, []Node{}
	for p.dec.More() {
		e, err := p.value(item(n.Path, len(n.Items)), depth+1)
		if err != nil {
			return n, err
		}
		n.Items = append(n.Items, e)
	}
	_, err := p.dec.Token()
	return n, err
}

// object reads a mapping. Of equal keys the last wins, as in all JSON readers.
func (p *jsonParser) object(n Node, depth int) (Node, error) {
	n.Kind, n.Fields = Map, []Field{}
	index := map[string]int{}
	for p.dec.More() {
		pos := p.pos(p.next())
		token, err := p.dec.Token()
		if err != nil {
			return n, err
		}
		key, _ := token.(string) // the decoder lets nothing else be a key
		value, err := p.value(child(n.Path, key), depth+1)
		if err != nil {
			return n, err
		}
		field := Field{Key: key, Pos: pos, Value: value}
		if i, twice := index[key]; twice {
			n.Fields[i] = field
			continue
		}
		index[key] = len(n.Fields)
		n.Fields = append(n.Fields, field)
	}
	_, err := p.dec.Token()
	return n, err
}
