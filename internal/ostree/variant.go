package ostree

import (
	"fmt"
	"strings"
)

// The text form of GVariant is how metadata is handed to ostree's command line;
// its grammar is in GLib's manual, "GVariant Text Format".

// quote writes a string so that GVariant's text parser reads it back.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range s {
		switch {
		case r == '\'' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('\'')
	return b.String()
}

// variantText writes a metadata value. Beside strings and booleans it takes the
// shapes that a compose needs: lists of strings ("as"), rows of strings (the
// package list, "a(sssss)") and repository times ("aa{sv}").
func variantText(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return quote(v), nil
	case bool:
		return fmt.Sprint(v), nil
	case int:
		return fmt.Sprintf("int64 %d", v), nil
	case int64:
		return fmt.Sprintf("int64 %d", v), nil
	case float64:
		if v == float64(int64(v)) {
			return fmt.Sprintf("int64 %d", int64(v)), nil
		}
		return fmt.Sprintf("%g", v), nil
	case []string:
		return list("@as ", v, func(s string) string { return quote(s) }), nil
	case [][5]string:
		return list("@a(sssss) ", v, func(row [5]string) string {
			return "(" + strings.Join([]string{quote(row[0]), quote(row[1]), quote(row[2]), quote(row[3]), quote(row[4])}, ", ") + ")"
		}), nil
	case []RepoTime:
		return list("@aa{sv} ", v, func(t RepoTime) string {
			return fmt.Sprintf("{'id': <%s>, 'timestamp': <uint64 %d>}", quote(t.ID), t.Timestamp)
		}), nil
	case []any:
		words := make([]string, len(v))
		for i, item := range v {
			s, ok := item.(string)
			if !ok {
				return "", fmt.Errorf("list item %v is not a string", item)
			}
			words[i] = s
		}
		return variantText(words)
	}
	return "", fmt.Errorf("value %v of type %T has no place in commit metadata; use a string, a truth value, a number or a list of strings", value, value)
}

// RepoTime says how old a package repository was when it was used.
type RepoTime struct {
	ID        string `json:"id"`
	Timestamp int64  `json:"timestamp"` // seconds since the epoch
}

// list writes an array; an empty one needs its type said.
func list[T any](kind string, items []T, text func(T) string) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = text(item)
	}
	return kind + "[" + strings.Join(texts, ", ") + "]"
}
