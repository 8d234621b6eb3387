package fetch

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each case is one rule: files of a config, and the packages that come of it or
// the words of the refusal.
type rule struct {
	files map[string]string
	opt   Options
	want  []string
	err   string // must be part of the error
}

func check(t *testing.T, rules map[string]rule) {
	makePools(t)
	for name, r := range rules {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, r.files)
			if r.err != "" {
				_, err := w.fetch(r.opt)
				require.ErrorContains(t, err, r.err)
				return
			}
			require.Equal(t, r.want, w.fetched(r.opt))
		})
	}
}

func manifest(text string) map[string]string { return map[string]string{"manifest.yaml": text} }

func TestWhatAManifestMayAskFor(t *testing.T) {
	check(t, map[string]rule{
		"a name, with what it needs": {
			files: manifest("packages: [app]\nrecommends: false\n"),
			want:  []string{"app-1-1.noarch", "lib-2-1.noarch"},
		},
		"recommends defaults to true": {
			files: manifest("packages: [app]\n"),
			want:  []string{"app-1-1.noarch", "doc-1-1.noarch", "lib-2-1.noarch"},
		},
		"a provide": {
			files: manifest("packages: [mail-server]\n"),
			want:  []string{"mail-a-1-1.noarch"},
		},
		"a path": {
			files: manifest("packages: [/usr/sbin/zipl]\n"),
			want:  []string{"tool-1-1.noarch"},
		},
		"an NEVRA": {
			files: manifest("packages: [lib-1-1.noarch]\n"),
			want:  []string{"lib-1-1.noarch"},
		},
		"a relation in quotes": {
			files: manifest("packages: [\"'lib < 2' tool\"]\n"),
			want:  []string{"lib-1-1.noarch", "tool-1-1.noarch"},
		},
		"packages of the architecture": {
			files: manifest("packages: [tool]\npackages-x86_64: [native]\npackages-aarch64: [nothere]\n"),
			want:  []string{"native-1-1.x86_64", "tool-1-1.noarch"},
		},
		"repo-packages install from their repository": {
			files: manifest("packages: [doc]\nrepos: [base, extra]\nrepo-packages: [{repo: base, packages: [lib]}]\n"),
			want:  []string{"doc-2-1.noarch", "lib-2-1.noarch"},
		},
		"repo-packages beat the newest": {
			files: manifest("packages: [lib]\nrepos: [base, extra]\nrepo-packages: [{repo: base, packages: [lib]}]\n"),
			want:  []string{"lib-2-1.noarch"},
		},
		"repo-packages that the repository lacks": {
			files: manifest("packages: [doc]\nrepos: [base, extra]\nrepo-packages: [{repo: base, packages: [only-extra]}]\n"),
			err:   `package "only-extra" is not in repository base`,
		},
		"an excluded package that is only recommended": {
			files: manifest("packages: [app]\nexclude-packages: [doc]\n"),
			want:  []string{"app-1-1.noarch", "lib-2-1.noarch"},
		},
		"an excluded package that is needed": {
			files: manifest("packages: [app]\nexclude-packages: [lib]\n"),
			err:   "the packages do not fit together",
		},
		"an excluded package that is asked for": {
			files: manifest("packages: [app, doc]\nexclude-packages: [doc]\n"),
			err:   `manifest.yaml:5:17: packages[1]: "doc" is also in exclude-packages`,
		},
		"all that is missing at once": {
			files: manifest("packages:\n- no\n- app\n- nor\n"),
			err:   "manifest.yaml:8:3: package \"nor\" is in none",
		},
		"repos choose among the repositories": {
			files: manifest("packages: [lib]\nrepos: [extra]\n"),
			want:  []string{"lib-3-1.noarch"},
		},
		"an unknown repository": {
			files: manifest("packages: [lib]\nrepos: [bas]\n"),
			err:   `manifest.yaml:6:9: repository "bas" is in none of the .repo files; did you mean "base"?`,
		},
		"an unknown repository among lockfile-repos": {
			files: map[string]string{"manifest.yaml": "packages: [lib]\nlockfile-repos: [extr]\n", "manifest-lock.x86_64.json": `{"packages": {}}`},
			err:   `did you mean "extra"?`,
		},
		"no repository is enabled": {
			files: map[string]string{"base.repo": "[base]\nbaseurl={base}\nenabled=0\n"},
			err:   "no repository is enabled",
		},
	})
}

// both has both repositories enabled, with more options for extra.
func both(options string) map[string]string {
	return map[string]string{
		"base.repo":     "[base]\nbaseurl={base}\n[extra]\nbaseurl={extra}\n" + options,
		"manifest.yaml": "packages: [lib, doc]\n",
	}
}

func TestOptionsOfRepositories(t *testing.T) {
	check(t, map[string]rule{
		"the newest of all repositories": {
			files: both(""), want: []string{"doc-2-1.noarch", "lib-3-1.noarch"},
		},
		"a repository of lower priority gives only what no other has": {
			files: both("priority=100\n"), want: []string{"doc-1-1.noarch", "lib-2-1.noarch"},
		},
		"includepkgs": {
			files: both("includepkgs=lib*\n"), want: []string{"doc-1-1.noarch", "lib-3-1.noarch"},
		},
		"excludepkgs": {
			files: both("excludepkgs=lib\n"), want: []string{"doc-2-1.noarch", "lib-2-1.noarch"},
		},
		"enabled=0": {
			files: both("enabled=0\n"), want: []string{"doc-1-1.noarch", "lib-2-1.noarch"},
		},
		"a priority that is no number": {
			files: both("priority=high\n"), err: "base.repo:5:1: priority=high is no number of 0 or more",
		},
		"a repository that may be unavailable": {
			files: map[string]string{"base.repo": "[base]\nbaseurl={base}\n[gone]\nbaseurl=file:///nowhere/at/all\nskip_if_unavailable=1\n"},
			want:  []string{"app-1-1.noarch", "lib-2-1.noarch"},
		},
		"a repository that may not": {
			files: map[string]string{"base.repo": "[base]\nbaseurl={base}\n[gone]\nbaseurl=file:///nowhere/at/all\n"},
			err:   `base.repo:3:1: repository "gone" cannot be read from file:///nowhere/at/all: `,
		},
	})
}

func TestOfTheSamePackageTheCheaperRepositoryGivesIt(t *testing.T) {
	for options, want := range map[string]string{"cost=500\n": "extra", "cost=5000\n": "base"} {
		w := newWorld(t, both(options))
		w.config(manifest("packages: [twin]\n"))
		result, err := w.fetch(Options{})
		require.NoError(t, err)
		require.Len(t, result.Packages, 1)
		require.Equal(t, want, result.Packages[0].Repo)
	}
}

func TestVariablesMirrorlistAndMetalink(t *testing.T) {
	makePools(t)
	base := http.StripPrefix("/12/x86_64", http.FileServer(http.Dir(pools["base"])))
	mux := http.NewServeMux()
	mux.Handle("/12/x86_64/", base)
	server := httptest.NewServer(mux)
	defer server.Close()
	mux.HandleFunc("/mirrors", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("http://127.0.0.1:1/gone/\n" + server.URL + "/12/x86_64/\n"))
	})
	mux.HandleFunc("/metalink", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/"><files><file name="repomd.xml"><resources>
<url protocol="http" type="http" preference="100">http://127.0.0.1:1/gone/repodata/repomd.xml</url>
<url protocol="http" type="http" preference="90">` + server.URL + `/12/x86_64/repodata/repomd.xml</url>
</resources></file></files></metalink>`))
	})
	for name, option := range map[string]string{
		"variables":  "baseurl=" + server.URL + "/$releasever/$basearch/",
		"repovars":   "baseurl=" + server.URL + "/$generation/$basearch/",
		"mirrorlist": "mirrorlist=" + server.URL + "/mirrors",
		"metalink":   "metalink=" + server.URL + "/metalink",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, map[string]string{
				"base.repo":     "[base]\n" + option + "\n",
				"manifest.yaml": "packages: [app]\nrecommends: false\nrepovars: {generation: \"12\"}\n",
			})
			require.Equal(t, []string{"app-1-1.noarch", "lib-2-1.noarch"}, w.fetched(Options{}))
		})
	}
}
