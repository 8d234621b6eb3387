package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// table is a Markdown table; the cells must be Markdown already.
func table(head []string, rows [][]string) string {
	if len(rows) == 0 {
		return ""
	}
	var out strings.Builder
	line := func(cells []string) { fmt.Fprintf(&out, "| %s |\n", strings.Join(cells, " | ")) }
	line(head)
	line(slices.Repeat([]string{"---"}, len(head)))
	for i, row := range rows {
		if i == maxRows {
			fmt.Fprintf(&out, "\n... and %d more\n", len(rows)-maxRows)
			break
		}
		line(row)
	}
	return out.String()
}

// Text makes any string plain text on one line: no Markdown, no HTML, no
// mentions, no links.
func Text(s string) string {
	var out strings.Builder
	for _, r := range clean(s) {
		switch {
		case r == '@':
			out.WriteString("@\u200b") // nobody is notified
		case strings.ContainsRune(`\|*_{}[]()#+!~<>&`+"`$:", r):
			fmt.Fprintf(&out, "&#%d;", r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// code is Text in the fixed font; empty stays empty.
func code(s string) string {
	if s == "" {
		return ""
	}
	return "<code>" + Text(s) + "</code>"
}

// block is foreign text of several lines in the fixed font.
func block(s string) string {
	var out strings.Builder
	out.WriteString("<pre>")
	for line := range strings.Lines(s) {
		out.WriteString(Text(strings.TrimRight(line, "\r\n")) + "&#10;")
	}
	out.WriteString("</pre>\n")
	return out.String()
}

// clean drops what is invisible or would start a new line.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\r', r == '\t', r == '\u2028', r == '\u2029':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
