package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/workdir"
)

func raw(lines ...string) []json.RawMessage {
	list := []json.RawMessage{}
	for _, line := range lines {
		list = append(list, json.RawMessage(line))
	}
	return list
}

func TestABuildIsTold(t *testing.T) {
	m := &workdir.Meta{
		BuildID: "24.03-LTS.20250114.1", OSTreeVersion: "24.03-LTS.20250114.1", Ref: "openEuler/x86_64/nestos/stable",
		OSTreeCommit: strings.Repeat("6d", 32),
		Images: map[string]workdir.Image{
			"ostree": {Path: "nestos-24.03-LTS.20250114.1-ostree.x86_64.ociarchive", SHA256: strings.Repeat("9b", 32), Size: 812345344},
			"qemu":   {Path: "nestos-24.03-LTS.20250114.1-qemu.x86_64.qcow2", SHA256: strings.Repeat("11", 32), Size: 999},
		},
		PkgDiff: raw(
			`["kernel", 2, {"PreviousPackage": ["kernel", "6.6.0-1", "x86_64"], "NewPackage": ["kernel", "6.6.0-2", "x86_64"]}]`,
			`["vim", 0, {"NewPackage": ["vim", "9.0-1", "x86_64"]}]`,
			`["nano", 1, {"PreviousPackage": ["nano", "7.2-1", "x86_64"]}]`,
			`["odd", 9, {}]`,
		),
	}
	testkit.Golden(t, "build.md", []byte(Build{Meta: m, Changed: true}.Markdown()))
}

func TestTestsAreToldFailedOnesFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"tests":[
		{"name":"basic","subtests":null,"result":"PASS","duration":12340000000,"output":""},
		{"name":"bucket-0","subtests":[{"name":"bucket-0/ext.config.x","subtests":null,"result":"FAIL","duration":1500000000,"output":"one\n</pre><script>|\nlast"}],"result":"FAIL","duration":2000000000,"output":""},
		{"name":"skipped","subtests":null,"result":"SKIP","duration":0,"output":""}],
		"result":"FAIL","platform":"qemu","version":""}`), 0o600))

	got, err := ReadTests(path)

	require.NoError(t, err)
	require.Equal(t, 2, got.Count("FAIL"))
	require.Equal(t, 12340*time.Millisecond, got.Tests[0].Duration)
	testkit.Golden(t, "tests.md", []byte(got.Markdown()))
}

func TestForeignTextStaysText(t *testing.T) {
	for _, hostile := range []string{
		"</td><img src=x onerror=alert(1)>", "a | b\n| c |", "![x](http://e/x.png)", "[a](javascript:x)", "`code` **bold** _i_", "# head",
		"https://example.org", "<!-- hidden -->", "$$x$$", ":smile:", "\u202eabc", "a\x00b\x1b[31m", "\xff\xfe", "~~x~~", "&lt;",
	} {
		got := Text(hostile)
		require.NotContains(t, got, "\n")
		for _, c := range "|<>[]()*`\\!~$" {
			require.NotContains(t, got, string(c), hostile)
		}
		require.NotRegexp(t, `&[^#]`, got)
		require.NotRegexp(t, `[^&]#`, " "+got)
		require.NotContains(t, got, "://")
		require.NotContains(t, got, "\u202e")
	}
	require.Equal(t, "@\u200bsomebody", Text("@somebody"))
}

func TestLongTablesAreCut(t *testing.T) {
	var lines []string
	for range maxRows + 7 {
		lines = append(lines, `["a", 0, {"NewPackage": ["a", "1-1", "noarch"]}]`)
	}
	require.Contains(t, diff(raw(lines...)), "... and 7 more")
}

func TestSizesAreForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "", 999: "999 B", 1000: "1 kB", 812345344: "812 MB", 2600468480: "2.6 GB"} {
		require.Equal(t, want, Size(n))
	}
}
