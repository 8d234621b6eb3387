package meta

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSplit(t *testing.T) {
	for path, want := range map[string][]string{
		"name":                      {"name"},
		"images.qemu.path":          {"images", "qemu", "path"},
		"coreos-assembler.basearch": {"coreos-assembler.basearch"},
		"coreos-assembler.container-config-git.commit": {"coreos-assembler.container-config-git", "commit"},
		"fedora-coreos.parent-commit":                  {"fedora-coreos.parent-commit"},
		"nestos.stream":                                {"nestos", "stream"},
		"coreos-assembler":                             {"coreos-assembler"},
	} {
		got, err := split(path)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, path := range []string{"", ".", "a..b", "coreos-assembler."} {
		_, err := split(path)
		require.Error(t, err, path)
	}
}

func TestPutMakesTheWayAndRespectsWhatIsThere(t *testing.T) {
	object := map[string]any{"name": "a"}
	require.NoError(t, put(object, []string{"images", "qemu", "path"}, "x"))
	v, ok := find(object, []string{"images", "qemu", "path"})
	require.True(t, ok)
	require.Equal(t, "x", v)
	require.EqualError(t, put(object, []string{"name", "first"}, "x"), "name is not an object")
	_, ok = find(object, []string{"name", "first"})
	require.False(t, ok)
}

func TestShow(t *testing.T) {
	for want, v := range map[string]any{
		"text <&>": "text <&>", "7": json.Number("7"), "true": true, "None": nil, `["<a>"]`: []any{"<a>"}, `{"a":1}`: map[string]any{"a": 1},
	} {
		got, err := show(v, true)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestParseSetting(t *testing.T) {
	s, err := ParseSetting("a.b=x y")
	require.NoError(t, err)
	require.Equal(t, Setting{Path: "a.b", Value: "x y"}, s)
	for _, pair := range []string{"a", "=x", "a=b=c"} {
		_, err := ParseSetting(pair)
		require.Error(t, err, pair)
	}
	_, err = ParseIntSetting("a=1.5")
	require.EqualError(t, err, `"a=1.5": 1.5 is not a whole number`)
}
