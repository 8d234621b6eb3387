package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/testkit/actiontest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"buildextend": main, "nosa": actiontest.Nosa})
}

func TestScripts(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(lastRelease))
	t.Cleanup(api.Close)
	actiontest.Scripts(t, func(p *testscript.Params) {
		setup := p.Setup
		p.Setup = func(env *testscript.Env) error {
			env.Setenv("RELEASES", api.URL)
			return setup(env)
		}
	})
}

// lastRelease answers for a repository whose last release had a qemu image of half the
// size, and one of a name that is none.
func lastRelease(w http.ResponseWriter, r *http.Request) {
	here := "http://" + r.Host
	switch {
	case r.URL.Path == "/repos/o/r/releases/latest":
		fmt.Fprint(w, `{"tag_name": "v1<b>", "assets": [`)
		for i, arch := range []string{"x86_64", "aarch64"} {
			fmt.Fprintf(w, `%s{"name": "packages.%s.txt", "url": "%s/packages"}, {"name": "meta.%[2]s.json", "url": "%[3]s/meta"}`,
				strings.Repeat(",", i), arch, here)
		}
		fmt.Fprint(w, "]}")
	case r.URL.Path == "/packages":
		fmt.Fprint(w, "bash-5.2-1.x86_64\n")
	case r.URL.Path == "/meta":
		fmt.Fprint(w, `{"images": {"qemu": {"path": "a.gz", "sha256": "", "size": 3, "uncompressed-size": 4194304}, "<b>": {"path": "b", "sha256": "", "size": 7}}}`)
	default:
		http.NotFound(w, r)
	}
}

func TestInputsAgreeWithActionYML(t *testing.T) {
	actiontest.InputsAgree(t, func(s *action.Step) error { return run(t.Context(), s) })
}
