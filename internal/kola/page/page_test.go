package page_test

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/nestos/nosa-actions/internal/boottime"
	"github.com/nestos/nosa-actions/internal/kola"
	"github.com/nestos/nosa-actions/internal/kola/page"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/testkit/browsertest"
)

// measured is a real start of nestos-mini.
func measured(t testing.TB) *boottime.Record {
	t.Helper()
	f, err := os.Open("../../boottime/testdata/quiet.json.gz")
	require.NoError(t, err)
	defer f.Close()
	in, err := gzip.NewReader(f)
	require.NoError(t, err)
	r := &boottime.Record{}
	require.NoError(t, json.NewDecoder(in).Decode(r))
	r.Before(3.1, 1.9)
	return r
}

// sample is a run with something of everything.
func sample(t testing.TB) page.Data {
	r := measured(t)
	slower := *r
	slower.Units = append(append([]boottime.Unit{}, r.Units...), boottime.Unit{Name: "delay.service", Start: 22, Finish: 24})
	phases, units := boottime.Compare([]*boottime.Record{r, r, r}, &slower)
	test := func(name string, verdict kola.Verdict, subtests ...kola.Result) kola.Result {
		return kola.Result{Name: name, Verdict: verdict, Duration: 1234 * time.Millisecond, Subtests: subtests}
	}
	bucket := test("non-exclusive-test-bucket-0", kola.Fail,
		test("basic", kola.Pass, test("basic/multi-user", kola.Pass), test("basic/usr-read-only", kola.Pass)),
		test("ext.config.podman.a-test-with-quite-a-long-name-that-has-to-be-broken", kola.Fail))
	bucket.Boot = 58 * time.Second
	bucket.Subtests[1].Output = "run.sh: exit status 1: expected \"hello\", got <script>alert(1)</script>"
	gate := test("gate/boot", kola.Warn)
	gate.Output = "budgets.yaml:2:3: userspace takes 30.5 s, 2.0 s more than before (28.4 s): delay.service is new and takes 2.0 s; allowed are 1.0 s"
	return page.Data{
		Name: "nestos-mini", Build: "12.20261128.0", Commit: strings.Repeat("07c7f06b", 8), Arch: "x86_64", Platform: "qemu",
		Date:     time.Date(2026, 11, 28, 20, 0, 0, 0, time.UTC),
		Report:   kola.Report{Verdict: kola.Fail, Tests: []kola.Result{test("inspect", kola.Pass), bucket, gate, test("ext.config.skipped", kola.Skip)}},
		Starts:   []page.Start{{Guest: "non-exclusive-test-bucket-0", Record: &slower, Phases: phases, Units: units}, {Guest: "ext.config.alone", Record: r}},
		Against:  "12.20261127.0",
		Sizes:    []page.Size{{"ostree", 219841536, 219000000}, {"qemu", 575537152, 560000000}, {"metal", 1 << 30, 0}},
		Packages: []page.Package{{"bash", "5.1-1", "5.2-1"}, {"kernel-core", "6.1.0-55", "6.1.0-56"}, {"podman", "", "4.9.4-1"}, {"docker", "20.10-3", ""}},
		Consoles: []page.Console{{"ext.config.alone", "[   12.3] Kernel panic - not syncing: VFS: Unable to mount root fs\n</pre><img src=x onerror=alert(1)>\n" + strings.Repeat("a long line ", 30)}},
	}
}

func render(t testing.TB, d page.Data) string {
	t.Helper()
	text, err := page.Render(d)
	require.NoError(t, err)
	return string(text)
}

func TestPageIsAsItWas(t *testing.T) {
	testkit.Golden(t, "page.html", []byte(render(t, sample(t))))
}

func TestNothingOfTheGuestBecomesMarkup(t *testing.T) {
	doc, err := html.Parse(strings.NewReader(render(t, sample(t))))
	require.NoError(t, err)
	ids := map[string]bool{}
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		require.NotContains(t, []string{"script", "img", "iframe", "link", "object"}, n.Data)
		for _, a := range n.Attr {
			require.False(t, strings.HasPrefix(a.Key, "on"), a.Key)
			if a.Key == "href" {
				require.True(t, strings.HasPrefix(a.Val, "#"), "nothing from elsewhere: %s", a.Val)
			}
			require.NotContains(t, []string{"src", "style"}, a.Key)
			if a.Key == "id" {
				require.False(t, ids[a.Val], "id %s twice", a.Val)
				ids[a.Val] = true
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(doc)
	for _, id := range []string{"results", "consoles", "boot", "changes", "chart-title"} {
		require.True(t, ids[id], id)
	}
}

func TestPageOfARunWithoutGuests(t *testing.T) {
	text := render(t, page.Data{Report: kola.Report{Verdict: kola.Pass, Tests: []kola.Result{{Name: "inspect", Verdict: kola.Pass}}}})
	require.Contains(t, text, "<h1>Tests of image</h1>")
	require.NotContains(t, text, "<svg")
	require.NotContains(t, text, "What has changed")
}

// TestInABrowser looks at the page as people do.
func TestInABrowser(t *testing.T) { browsertest.Look(t, render(t, sample(t)), 150) }
