package gvariant_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/gvariant"
)

// The bytes are those of the examples in GLib's specification, or of
// g_variant_get_data.
func TestDecodeReadsWhatGLibWrites(t *testing.T) {
	for name, c := range map[string]struct {
		typ  string
		data string
		want any
	}{
		"string":        {"s", "hello world\x00", "hello world"},
		"empty maybe":   {"ms", "", nil},
		"maybe":         {"ms", "hello world\x00\x00", "hello world"},
		"booleans":      {"ab", "\x01\x00\x00\x01\x01", []any{true, false, false, true, true}},
		"tuple":         {"(si)", "foo\x00\xff\xff\xff\xff\x04", []any{"foo", int32(-1)}},
		"array of pair": {"a(si)", "hi\x00\x00\xfe\xff\xff\xff\x03\x00\x00\x00bye\x00\xff\xff\xff\xff\x04\x09\x15", []any{[]any{"hi", int32(-2)}, []any{"bye", int32(-1)}}},
		"strings":       {"as", "i\x00can\x00has\x00strings?\x00\x02\x06\x0a\x13", []any{"i", "can", "has", "strings?"}},
		"nested":        {"((ys)as)", "ican\x00has\x00strings?\x00\x04\x0d\x05", []any{[]any{byte('i'), "can"}, []any{"has", "strings?"}}},
		"fixed tuples":  {"a(iy)", "\x60\x00\x00\x00\x70\x00\x00\x00\x88\x02\x00\x00\xf7\x00\x00\x00", []any{[]any{int32(96), byte(0x70)}, []any{int32(648), byte(0xf7)}}},
		"dictionary":    {"a{sv}", "k\x00\x00\x00\x00\x00\x00\x00v\x00\x00s\x02\x0d", []gvariant.Entry{{Key: "k", Value: gvariant.Variant{Type: "s", Value: "v"}}}},
		"bytes":         {"ay", "\x04\x05", []byte{4, 5}},
		"unit":          {"()", "\x00", []any{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := gvariant.Decode(c.typ, []byte(c.data))
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestDecodeRefusesWhatNoSerialiserWrites(t *testing.T) {
	for name, c := range map[string]struct{ typ, data string }{
		"string without end":      {"s", "foo"},
		"string with NUL":         {"s", "f\x00o\x00"},
		"string that is no UTF-8": {"s", "\xff\x00"},
		"boolean of 2":            {"b", "\x02"},
		"number cut off":          {"u", "\x01\x02"},
		"offset behind the end":   {"(si)", "foo\x00\xff\xff\xff\xff\x40"},
		"offsets running back":    {"as", "a\x00b\x00\x04\x02"},
		"padding with content":    {"(yu)", "\x01\x01\x00\x00\x02\x00\x00\x00"},
		"bytes left over":         {"(sy)", "a\x00\x07\x07\x02"},
		"variant of no type":      {"v", "\x01\x00"},
		"variant of a bad type":   {"v", "\x01\x00z"},
		"unknown type":            {"k", "\x01"},
		"type with a rest":        {"uu", "\x01\x00\x00\x00"},
		"open tuple":              {"(u", "\x01\x00\x00\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := gvariant.Decode(c.typ, []byte(c.data))
			require.Error(t, err)
		})
	}
}

func TestDecodeBoundsTheNestingOfVariants(t *testing.T) {
	data := []byte("\x01\x00y")
	for range 200 {
		data = append(data, 0, 'v')
	}
	_, err := gvariant.Decode("v", data)
	require.ErrorContains(t, err, "nested too deeply")
}

func FuzzDecode(f *testing.F) {
	f.Add("a{sv}", []byte("k\x00\x00\x00\x00\x00\x00\x00v\x00\x00s\x02\x0d"))
	f.Add("(a{sv}aya(say)sstayay)", []byte("\x00\x00\x00"))
	f.Add("a(si)", []byte("hi\x00\x00\xfe\xff\xff\xff\x03\x00\x00\x00\x09"))
	f.Fuzz(func(t *testing.T, typ string, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		_, _ = gvariant.Decode(typ, data)
		parts, err := gvariant.Split(typ, data)
		if err != nil {
			return
		}
		total := 0
		for _, p := range parts {
			total += len(p)
		}
		require.LessOrEqual(t, total, len(data), "members overlap")
	})
}
