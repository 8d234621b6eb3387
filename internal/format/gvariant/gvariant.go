// Package gvariant reads the binary form of GLib's GVariant values, as far as
// OSTree objects use it. It is strict: bytes that are not what a serialiser
// would have written are an error, never a default value, because they come
// from outside and are identified by their checksum.
//
// Format: "GVariant Specification" by Allison Karlitskaya, published with GLib.
// Numbers are read little-endian, the order of all our machines; OSTree stores
// some of its own numbers big-endian (see SwapUint64).
package gvariant

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"unicode/utf8"
)

// maxDepth bounds nesting, also that of variants within variants.
const maxDepth = 64

// Variant is a value that carries its own type, the "v" of a type string.
type Variant struct {
	Type  string
	Value any
}

// Entry is one key and value of a dictionary, in the order of the bytes.
type Entry struct {
	Key   any
	Value any
}

// Decode reads a value of the type from data. The result is built from bool,
// byte, int16, uint16, int32, uint32, int64, uint64, float64 and string; []byte
// for "ay"; []any for other arrays and for tuples; []Entry for an array of
// dictionary entries; Variant for "v"; nil or the value for a maybe.
func Decode(typ string, data []byte) (any, error) {
	t, err := parseType(typ)
	if err != nil {
		return nil, err
	}
	return decode(t, data, 0)
}

// Split cuts the value of a tuple or array type into the bytes of its members,
// which alias data.
func Split(typ string, data []byte) ([][]byte, error) {
	t, err := parseType(typ)
	if err != nil {
		return nil, err
	}
	switch t.class {
	case '(', '{':
		return t.splitTuple(data)
	case 'a':
		return t.splitArray(data)
	}
	return nil, fmt.Errorf("type %q has no members", typ)
}

// SwapUint64 turns a big-endian number that was read as little-endian right.
func SwapUint64(v uint64) uint64 { return bits.ReverseBytes64(v) }

var errForm = errors.New("not a well-formed value")

func decode(t *node, data []byte, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("value is nested too deeply")
	}
	if t.fixed > 0 && len(data) != t.fixed {
		return nil, fmt.Errorf("%d bytes where %d are due: %w", len(data), t.fixed, errForm)
	}
	switch t.class {
	case 's', 'o', 'g':
		return text(data)
	case 'v':
		return decodeVariant(data, depth)
	case 'm':
		return decodeMaybe(t, data, depth)
	case 'a':
		return decodeArray(t, data, depth)
	case '(', '{':
		parts, err := t.splitTuple(data)
		if err != nil {
			return nil, err
		}
		return decodeAll(t.members, parts, depth)
	}
	return number(t.class, data)
}

func number(class byte, data []byte) (any, error) {
	le := binary.LittleEndian
	switch class {
	case 'b':
		if data[0] > 1 {
			return nil, errForm
		}
		return data[0] == 1, nil
	case 'y':
		return data[0], nil
	case 'n':
		return int16(le.Uint16(data)), nil
	case 'q':
		return le.Uint16(data), nil
	case 'i', 'h':
		return int32(le.Uint32(data)), nil
	case 'u':
		return le.Uint32(data), nil
	case 'x':
		return int64(le.Uint64(data)), nil
	case 't':
		return le.Uint64(data), nil
	default: // 'd'; parseType knows no other
		return math.Float64frombits(le.Uint64(data)), nil
	}
}

// text is the content of a string: valid UTF-8 with exactly one NUL, its last.
func text(data []byte) (string, error) {
	n := len(data) - 1
	if n < 0 || data[n] != 0 || !utf8.Valid(data[:n]) {
		return "", errForm
	}
	for _, c := range data[:n] {
		if c == 0 {
			return "", errForm
		}
	}
	return string(data[:n]), nil
}

// decodeVariant: the value, a NUL, the type string.
func decodeVariant(data []byte, depth int) (any, error) {
	for i := len(data) - 1; i >= 0 && len(data)-i <= maxTypeLength+1; i-- {
		if data[i] != 0 {
			continue
		}
		typ := string(data[i+1:])
		t, err := parseType(typ)
		if err != nil {
			return nil, err
		}
		v, err := decode(t, data[:i], depth+1)
		return Variant{Type: typ, Value: v}, err
	}
	return nil, errForm
}

func decodeMaybe(t *node, data []byte, depth int) (any, error) {
	if len(data) == 0 {
		return nil, nil
	}
	child := t.members[0]
	if child.fixed == 0 {
		if data[len(data)-1] != 0 {
			return nil, errForm
		}
		data = data[:len(data)-1]
	}
	return decode(child, data, depth+1)
}

func decodeArray(t *node, data []byte, depth int) (any, error) {
	child := t.members[0]
	if child.class == 'y' {
		return data, nil
	}
	parts, err := t.splitArray(data)
	if err != nil {
		return nil, err
	}
	if child.class != '{' {
		values := make([]any, len(parts))
		for i, part := range parts {
			if values[i], err = decode(child, part, depth+1); err != nil {
				return nil, err
			}
		}
		return values, nil
	}
	entries := make([]Entry, len(parts))
	for i, part := range parts {
		pair, err := decode(child, part, depth+1)
		if err != nil {
			return nil, err
		}
		kv := pair.([]any)
		entries[i] = Entry{Key: kv[0], Value: kv[1]}
	}
	return entries, nil
}

func decodeAll(types []*node, parts [][]byte, depth int) (any, error) {
	values := make([]any, len(parts))
	for i, part := range parts {
		v, err := decode(types[i], part, depth+1)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}
