package document_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
)

func TestYAMLAndJSONEndInTheSameNodes(t *testing.T) {
	y, err := document.Parse("a.yaml", []byte("a: [1, x, true, null, 1.5]\nb: {c: \"2\"}\n"))
	require.NoError(t, err)
	j, err := document.Parse("a.json", []byte("{\"a\": [1, \"x\", true, null, 1.5],\n\"b\": {\"c\": \"2\"}}"))
	require.NoError(t, err)
	require.Equal(t, y.Any(), j.Any())
	require.Equal(t, map[string]any{
		"a": []any{int64(1), "x", true, nil, 1.5},
		"b": map[string]any{"c": "2"},
	}, y.Any())
}

func TestNodesKnowTheirPlaceAndPath(t *testing.T) {
	for name, text := range map[string]string{
		"a.yaml": "ä: 1\nlist:\n  - x\n  - {key: [y]}\n",
		"a.json": "{\"ä\": 1,\n\"list\": [\n \"x\",\n\n{ \"key\" : [\"y\"]}]}",
	} {
		n, err := document.Parse(name, []byte(text))
		require.NoError(t, err)
		list, ok := n.Get("list")
		require.True(t, ok)
		y := list.Items[1].Fields[0].Value.Items[0]
		require.Equal(t, "list[1].key[0]", y.Path)
		want := map[string]diag.Pos{
			"a.yaml": {File: "a.yaml", Line: 4, Column: 12},
			"a.json": {File: "a.json", Line: 5, Column: 12},
		}
		require.Equal(t, want[name], y.Pos)
	}
}

func TestScalarsFollowTheCoreSchema(t *testing.T) {
	cases := map[string]any{
		"yes": "yes", "no": "no", "True": true, "~": nil, "2024-01-01": "2024-01-01",
		"0x10": int64(16), "1_000": int64(1000), "18446744073709551615": uint64(18446744073709551615),
		"1e3": 1000.0, "24.03": 24.03, "24.03-LTS": "24.03-LTS", `"1"`: "1", "!!str 1": "1", "-5": int64(-5),
	}
	for text, want := range cases {
		n, err := document.Parse("a.yaml", []byte("k: "+text))
		require.NoError(t, err, text)
		v, _ := n.Get("k")
		require.Equal(t, want, v.Any(), text)
	}
}

func TestAnAliasStandsWhereItIsUsed(t *testing.T) {
	n, err := document.Parse("a.yaml", []byte("a: &x [1]\nb: *x\n"))
	require.NoError(t, err)
	b, _ := n.Get("b")
	require.Equal(t, diag.Pos{File: "a.yaml", Line: 2, Column: 4}, b.Pos)
	require.Equal(t, []any{int64(1)}, b.Any())
}

func TestSyntaxErrorsHaveTheirPlace(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"a.yaml", "a: [1\n", "a.yaml:1:1: not valid YAML: did not find expected ',' or ']'"},
		{"a.yaml", "a:\n  - b\n   - c: [\n", "a.yaml:3:4: not valid YAML: mapping values are not allowed"},
		{"a.yaml", "\tb: 1\n", "a.yaml:1:1: not valid YAML: found character that cannot start any token"},
		{"a.yaml", "a: 1\n---\nb: 2\n", "a.yaml:2:1: a second YAML document begins; only one is allowed"},
		{"a.yaml", "a: 1\na: 2\n", `a.yaml:2:1: key "a" is given twice; the first is on line 1`},
		{"a.yaml", "[a]: 1\n", "a.yaml:1:1: a key must be a string, not a list"},
		{"a.yaml", "a: .nan\n", "a.yaml:1:4: .nan is not a number that JSON can hold"},
		{"a.yaml", aliasBomb(), "a.yaml:2:26: too many values, or aliases that repeat each other"},
		{"a.yaml", "a: &a [*a]\n", "a.yaml:1:4: nested more than 100 levels deep"},
		{"a.json", "{\"a\": 1,\n  b: 2}", "a.json:2:3: not valid JSON: invalid character 'b'"},
		{"a.json", `{"a": [1, 2`, "a.json:1:12: not valid JSON: it ends too early"},
		{"a.json", `{"a": 1} x`, "a.json:1:10: not valid JSON: more text after the value"},
		{"a.json", `{"a": 1e999}`, "a.json:1:7: number 1e999 is out of range"},
		{"a.json", strings.Repeat("[", 200), "a.json:1:102: nested more than 100 levels deep"},
	}
	for _, c := range cases {
		_, err := document.Parse(c.name, []byte(c.text))
		require.Error(t, err, c.text)
		require.NotEmpty(t, diag.Findings(err))
		require.True(t, strings.HasPrefix(err.Error(), c.want), "%s\nis not\n%s", err, c.want)
	}
}

// aliasBomb is a few lines that stand for 10^9 values.
func aliasBomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [1]\n")
	for i := range 9 {
		alias := fmt.Sprintf("*a%d", i)
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i+1, i+1, strings.Join(slices.Repeat([]string{alias}, 10), ","))
	}
	return b.String()
}

func TestEntriesThatAreNotWrongAreThereBesideTheError(t *testing.T) {
	n, err := document.Parse("a.yaml", []byte("a: 1\na: 2\nb: {<<: *x, c: 3}\n"))
	require.Error(t, err)
	require.Equal(t, document.Null, n.Kind, "an unknown alias is an error of syntax")
	n, err = document.Parse("a.yaml", []byte("a: 1\na: 2\nb: {[d]: 4, c: 3}\n"))
	require.Len(t, diag.Findings(err), 2)
	require.Equal(t, map[string]any{"a": int64(1), "b": map[string]any{"c": int64(3)}}, n.Any())
}

func TestLoadReadsRegularFilesOfABearableSize(t *testing.T) {
	dir := t.TempDir()
	_, err := document.Load(filepath.Join(dir, "gone"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = document.Load(dir)
	require.EqualError(t, err, "read "+dir+": not a regular file")
	big := filepath.Join(dir, "big.yaml")
	require.NoError(t, os.WriteFile(big, nil, 0o600))
	require.NoError(t, os.Truncate(big, document.MaxSize+1))
	_, err = document.Load(big)
	require.EqualError(t, err, "read "+big+": larger than 16 MiB")
}

func TestNearest(t *testing.T) {
	names := []string{"packages", "ref", "repos", "exclude-packages"}
	for word, want := range map[string]string{"pakages": "packages", "repo": "repos", "rev": "ref", "exclude_packages": "exclude-packages", "zzz": "", "": ""} {
		got, ok := document.Nearest(word, names)
		require.Equal(t, want, got, word)
		require.Equal(t, want != "", ok)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("a: [1, &x {b: c}, *x]\n", true)
	f.Add("a: |\n  text\n? b\n: 0x1F\n", true)
	f.Add(`{"a": [1, "\ud83d\ude00", {"b": null}], "a": 1e3}`, false)
	f.Fuzz(func(t *testing.T, text string, yaml bool) {
		name := map[bool]string{true: "a.yaml", false: "a.json"}[yaml]
		n, err := document.Parse(name, []byte(text))
		if err != nil {
			require.NotEmpty(t, diag.Findings(err))
			return
		}
		data, err := json.Marshal(n.Any())
		require.NoError(t, err)
		again, err := document.Parse("b.json", data)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(n.Any()), fmt.Sprint(again.Any()))
	})
}

func TestPathsStayShort(t *testing.T) {
	n, err := document.Parse("a.yaml", []byte(strings.Repeat("{"+strings.Repeat("ä", 300)+": ", 90)+"1"+strings.Repeat("}", 90)))
	require.NoError(t, err)
	for len(n.Fields) > 0 {
		n = n.Fields[0].Value
		require.Less(t, len(n.Path), 260)
	}
	require.Equal(t, document.Int, n.Kind)
}
