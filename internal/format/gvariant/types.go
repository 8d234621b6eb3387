package gvariant

import (
	"fmt"
	"strings"
)

// maxTypeLength is the longest type string that is accepted.
const maxTypeLength = 255

// node is a parsed type.
type node struct {
	class   byte // the first byte of the type string
	align   int
	fixed   int // size in bytes if all values have the same, else 0
	members []*node
	framed  int // members of a tuple whose end is written down
}

// parseType parses a complete type string.
func parseType(typ string) (*node, error) {
	if len(typ) > maxTypeLength {
		return nil, fmt.Errorf("type string of %d bytes is too long", len(typ))
	}
	if t, ok := common[typ]; ok {
		return t, nil
	}
	t, rest, err := parseOne(typ, 0)
	if err != nil {
		return nil, fmt.Errorf("type %q: %w", typ, err)
	}
	if rest != "" {
		return nil, fmt.Errorf("type %q: %q follows the end", typ, rest)
	}
	return t, nil
}

// common spares parsing what each OSTree object needs.
var common = func() map[string]*node {
	known := map[string]*node{}
	for _, typ := range []string{
		"a{sv}", "a(ayay)", "(uuuusa(ayay))", "(tuuuusa(ayay))", "(uuua(ayay))", "(a(say)a(sayay))",
	} {
		known[typ], _, _ = parseOne(typ, 0)
	}
	return known
}()

func parseOne(s string, depth int) (t *node, rest string, err error) {
	if s == "" {
		return nil, "", fmt.Errorf("ends too early")
	}
	if depth > maxDepth {
		return nil, "", fmt.Errorf("is nested too deeply")
	}
	class, rest := s[0], s[1:]
	switch class {
	case 'b', 'y':
		return &node{class: class, align: 1, fixed: 1}, rest, nil
	case 'n', 'q':
		return &node{class: class, align: 2, fixed: 2}, rest, nil
	case 'i', 'u', 'h':
		return &node{class: class, align: 4, fixed: 4}, rest, nil
	case 'x', 't', 'd':
		return &node{class: class, align: 8, fixed: 8}, rest, nil
	case 's', 'o', 'g':
		return &node{class: class, align: 1}, rest, nil
	case 'v':
		return &node{class: class, align: 8}, rest, nil
	case 'a', 'm':
		child, rest, err := parseOne(rest, depth+1)
		if err != nil {
			return nil, "", err
		}
		return &node{class: class, align: child.align, members: []*node{child}}, rest, nil
	case '(', '{':
		return parseTuple(class, rest, depth)
	}
	return nil, "", fmt.Errorf("has an unknown %q", class)
}

func parseTuple(class byte, s string, depth int) (*node, string, error) {
	t := &node{class: class, align: 1}
	closing := ")"
	if class == '{' {
		closing = "}"
	}
	for !strings.HasPrefix(s, closing) {
		m, rest, err := parseOne(s, depth+1)
		if err != nil {
			return nil, "", err
		}
		t.members = append(t.members, m)
		s = rest
	}
	if class == '{' && (len(t.members) != 2 || !strings.ContainsRune("bynqiuxthdsog", rune(t.members[0].class))) {
		return nil, "", fmt.Errorf("has a dictionary entry that is no pair of a basic type and another")
	}
	t.measure()
	return t, s[1:], nil
}

// measure finds alignment, size and the number of framing offsets.
func (t *node) measure() {
	size, allFixed := 0, true
	for i, m := range t.members {
		t.align = max(t.align, m.align)
		if m.fixed == 0 {
			allFixed = false
			if i < len(t.members)-1 {
				t.framed++
			}
		}
		size = align(size, m.align) + m.fixed
	}
	if allFixed {
		t.fixed = max(align(size, t.align), 1) // the empty tuple takes one byte
	}
}
