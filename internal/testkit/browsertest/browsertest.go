// Package browsertest looks at pages of ours in a real browser, on a phone and on a
// desktop.
package browsertest

import (
	_ "embed"
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/tool"
)

// probe is a page that shows ours in frames of several widths and writes down
// what a person would see.
//
//go:embed probe.html
var probe []byte

// seen is what the probe finds in one frame.
type seen struct {
	Width    int
	Scroll   int      // width of the content
	Outside  []string // elements that reach out of the window
	Cut      []string // elements that cut off their content
	Headings []int    // levels, in order
	Faint    []string // text whose contrast is below 4.5 to 1
	Texts    int      // elements with text that were looked at
	Small    []string // what is to be tapped and has less than 24 pixels
	Dark     bool
}

// Look demands of a page with more than so many elements of text that it can be read
// and used in windows of all widths, in both colour schemes. The browser is named by
// NOSA_BROWSER; make page sets it.
func Look(t *testing.T, page string, texts int) {
	t.Helper()
	browser := os.Getenv("NOSA_BROWSER")
	if browser == "" {
		t.Skip("NOSA_BROWSER names no browser: see make page")
	}
	www := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(www, "index.html"), []byte(page), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(www, "probe.html"), probe, 0o644))
	server := httptest.NewServer(http.FileServer(http.Dir(www)))
	defer server.Close()
	for scheme, setting := range map[string]string{"dark": "0", "light": "1"} {
		t.Run(scheme, func(t *testing.T) {
			frames := look(t, browser, server.URL+"/probe.html", "--blink-settings=preferredColorScheme="+setting)
			require.Len(t, frames, 3)
			for i, width := range []int{320, 360, 1280} {
				f := frames[i]
				require.Equal(t, width, f.Width)
				require.LessOrEqual(t, f.Scroll, width, "the page is wider than the window: %q", f.Outside)
				require.Empty(t, f.Outside)
				require.Empty(t, f.Cut)
				require.Empty(t, f.Faint)
				require.Empty(t, f.Small)
				require.Greater(t, f.Texts, texts)
				require.Equal(t, scheme == "dark", f.Dark)
				requireOutline(t, f.Headings)
			}
		})
	}
}

// requireOutline demands one h1 and no level left out.
func requireOutline(t *testing.T, levels []int) {
	t.Helper()
	require.NotEmpty(t, levels)
	require.Equal(t, 1, levels[0])
	for i := 1; i < len(levels); i++ {
		require.Greater(t, levels[i], 1)
		require.LessOrEqual(t, levels[i], levels[i-1]+1)
	}
}

// look opens the probe and reads what it has written into itself.
func look(t *testing.T, browser, url string, more ...string) (frames []seen) {
	t.Helper()
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: browser, Args: append(more,
		"--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(), "--window-size=1400,900",
		"--virtual-time-budget=5000", "--dump-dom", url)})
	require.NoError(t, err)
	_, text, ok := strings.Cut(string(out), `<pre id="seen">`)
	require.True(t, ok, string(out))
	text, _, _ = strings.Cut(text, "</pre>")
	require.NoError(t, json.Unmarshal([]byte(html.UnescapeString(text)), &frames), text)
	return frames
}
