package main

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/release"
	"github.com/nestos/nosa-actions/internal/release/page"
)

// writePage makes the download page of the release, and of the one before it if
// its metadata is at hand, in a directory that is ready for GitHub Pages.
func writePage(step *action.Step, o release.Options, plan *release.Plan) (dir string, err error) {
	latest, system, err := page.Read(o.Out)
	if err != nil {
		return "", err
	}
	latest.Prerelease = plan.Prerelease
	home := strings.TrimSuffix(cmp.Or(o.Server, "https://github.com"), "/") + "/" + o.Owner + "/" + o.Repo
	site := page.Site{
		Name: system.Name, Summary: system.Summary, Stream: system.Stream,
		Home: home, Releases: []page.Release{latest},
	}
	if o.Attested {
		site.Repository = o.Owner + "/" + o.Repo
	}
	text, err := page.Render(withOlder(step, o, site))
	if err != nil {
		return "", err
	}
	dir = filepath.Clean(o.Out) + "-page"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return dir, atomicfile.Write(filepath.Join(dir, "index.html"), text, 0o644)
}

// withOlder adds the release before, unless what was published with it is of no
// use: that must not hold up a new one.
func withOlder(step *action.Step, o release.Options, site page.Site) page.Site {
	if o.Previous == "" {
		return site
	}
	older, _, err := page.Read(o.Previous)
	if err == nil {
		both := site
		both.Releases = append(both.Releases, older)
		if _, err = page.Render(both); err == nil {
			return both
		}
	}
	step.Log("the download page does without release %s: %v", o.PreviousTag, err)
	return site
}
