package job

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheLastReleaseSaysWhatItHas(t *testing.T) {
	var api *httptest.Server
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token went elsewhere")
		}
		fmt.Fprint(w, "bash-5.2-1.x86_64\nkernel-6.6.0-10.oe.x86_64\ntz-data-2:1-1.noarch\n\nnonsense\na.b\n")
	}))
	defer elsewhere.Close()
	asset := "%[1]s/asset"
	api = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer s3cret":
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Path == "/repos/o/r/releases/latest":
			fmt.Fprintf(w, `{"tag_name": "v1", "assets": [{"name": "x", "url": "u"}, {"name": "packages.x86_64.txt", "url": "`+asset+`"},
				{"name": "meta.x86_64.json", "url": "%[1]s/meta"}]}`, api.URL)
		case r.URL.Path == "/meta":
			fmt.Fprint(w, `{"images": {"qemu": {"path": "a.gz", "sha256": "", "size": 3, "uncompressed-size": 10}, "metal": {"path": "b", "sha256": "", "size": 7}}}`)
		case r.URL.Path == "/asset" && r.Header.Get("Accept") == "application/octet-stream":
			http.Redirect(w, r, elsewhere.URL+"/signed?x=1", http.StatusFound)
		}
	}))
	defer api.Close()
	h := hub{api: api.URL, repository: "o/r", token: "s3cret", client: http.Client{CheckRedirect: withoutToken}}

	known, err := h.latest(t.Context(), "x86_64")

	require.NoError(t, err)
	require.Equal(t, "v1", known.BuildID)
	require.Equal(t, map[string]string{"bash.x86_64": "5.2-1", "kernel.x86_64": "6.6.0-10.oe", "tz-data.noarch": "2:1-1"}, known.Packages)
	require.Equal(t, map[string]int64{"qemu": 10, "metal": 7}, known.Images)

	_, err = h.latest(t.Context(), "aarch64")
	require.EqualError(t, err, `release "v1" has no packages.aarch64.txt`)
	h.token = ""
	_, err = h.latest(t.Context(), "x86_64")
	require.EqualError(t, err, "GitHub answers 404 Not Found")
	h.token, asset = "s3cret", "http://example.org/asset"
	_, err = h.latest(t.Context(), "x86_64")
	require.EqualError(t, err, "asset packages.x86_64.txt lies elsewhere")
}
