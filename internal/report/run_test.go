package report

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
)

func aRun() Run {
	return Run{
		Build: "12.20261123.2", Version: "12.20261123.2", Commit: strings.Repeat("af", 32),
		Jobs: []Job{{"fetch", "success"}, {"build", "success"}, {"run-test", "failure"}},
		Suites: []Suite{
			NewSuite("nosa-test-1-x86_64", &Tests{Tests: []Test{
				{Name: "bucket", Result: "FAIL", Duration: 90 * time.Second, Subtests: []Test{
					{Name: "bucket/basic", Result: "PASS"}, {Name: "bucket/x", Result: "FAIL", Output: "one\n</pre><img src=x>@all\n"},
				}},
				{Name: "y", Result: "SKIP"},
			}}),
			{Name: "nosa-test-2-x86_64", Passed: 3, Seconds: 61},
		},
	}
}

func TestARunIsTold(t *testing.T) {
	r := aRun()
	testkit.Golden(t, "run.md", []byte(r.Markdown(1<<16)))
}

func TestARunSurvivesItsArtifact(t *testing.T) {
	r := aRun()
	data, err := r.JSON()
	require.NoError(t, err)

	got, err := ReadRun(strings.NewReader(string(data)))

	require.NoError(t, err)
	require.Equal(t, r, *got)
}

func TestALongRunIsCutToTheLimit(t *testing.T) {
	r := aRun()
	for range 100 {
		r.Suites[0].Failed = append(r.Suites[0].Failed, Test{Name: strings.Repeat("ä", 500), Output: strings.Repeat("x|<\n", 5000)})
	}
	r.Suites[0].Failed[5].Output = strings.Repeat("\x00", 1<<20)
	data, err := r.JSON()
	require.NoError(t, err)
	require.Less(t, len(data), MaxRun)
	whole := r.Markdown(1 << 30)
	for _, limit := range []int{300, 1000, 65536, len(whole)} {
		text := r.Markdown(limit)
		require.LessOrEqual(t, len(text), limit)
		require.Contains(t, text, "The rest is in the logs")
		require.Equal(t, strings.Count(text, "<details>"), strings.Count(text, "</details>"))
	}
	require.NotContains(t, r.Markdown(len(whole)+100), "The rest")
}

func TestReportsThatAreNoneAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"too long":       {`{"build":"` + strings.Repeat("x", MaxRun) + `"}`, "more than 4194304 bytes"},
		"no JSON":        {`<html>`, "not as it should be"},
		"unknown fields": {`{"pull_request": 7}`, `unknown field "pull_request"`},
		"other types":    {`{"build": {"a": 1}}`, "cannot unmarshal"},
		"cut":            {`{"build": "x"`, "unexpected EOF"},
		"two":            {`{} {}`, "after its end"},
		"empty":          {``, "not as it should be"},
		"deep":           {strings.Repeat(`{"suites":[`, 200000), "not as it should be"},
	} {
		_, err := ReadRun(strings.NewReader(c.text))
		require.ErrorContains(t, err, c.says, name)
	}
}

// Whatever an artifact says, the report of it has no markup but its own, and keeps
// its limit.
func FuzzReadRun(f *testing.F) {
	r := aRun()
	data, err := r.JSON()
	require.NoError(f, err)
	f.Add(string(data))
	f.Add(`{"build":"</code><script>alert(1)</script> @all #1 [x](http://y) ` + "`" + `","jobs":[{"name":"a|b\n# c","result":"<b>"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ReadRun(strings.NewReader(text))
		if err != nil {
			return
		}
		got := r.Markdown(60000)
		require.LessOrEqual(t, len(got), 60000)
		require.True(t, utf8.ValidString(got))
		for _, tag := range []string{"<details>", "</details>", "<summary>", "</summary>", "<code>", "</code>", "<pre>", "</pre>"} {
			got = strings.ReplaceAll(got, tag, "")
		}
		require.NotContains(t, got, "<")
		require.NotContains(t, got, "](")
		again, err := json.Marshal(r)
		require.NoError(t, err)
		_, err = ReadRun(strings.NewReader(string(again)))
		require.NoError(t, err)
	})
}
