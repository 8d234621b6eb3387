// Package page makes the download page of a system: one HTML file that needs
// nothing else, neither scripts nor fonts nor a build step, for GitHub Pages or
// any web server. It shows what a release's metadata says and the commands that
// people copy: verify, boot, write to a disk, update.
package page

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net/url"
	"regexp"
	"time"

	"github.com/nestos/nosa-actions/internal/format/streammeta"
)

// Site is what the page is about.
type Site struct {
	Name       string // of the system, for people
	Summary    string // one sentence
	Stream     string // such as "stable"; may be empty
	Repository string // OWNER/NAME on GitHub, for gh attestation verify; may be empty
	Home       string // URL of the project; may be empty
	// OSTreeURL is where a plain ostree client pulls from; may be empty.
	OSTreeURL string
	Releases  []Release // the newest first; the first is shown in full
}

// Release is one version.
type Release struct {
	Assets     streammeta.Assets // its files; Assets.Release is the version
	Date       time.Time
	URL        string // of the release's own page; may be empty
	Prerelease bool
	Revision   string // of the config repository; may be empty
	Arches     []Arch
	Changes    []Change // of packages, since the release before
}

// Arch is what is known of one architecture beside its files.
type Arch struct {
	Name      string // rpm name
	Commit    string // checksum of the OSTree commit
	Ref       string // OSTree ref; may be empty
	Container string // image in a registry, with the tag to follow; may be empty
	Digest    string // of that image, "sha256:HEX"; may be empty
}

// Change is what became of one package.
type Change struct {
	Package  string
	From, To string // versions; From is empty for a new one, To for one that is gone
	// Down tells that To is older than From.
	Down bool
}

//go:embed page.html
var source string

var layout = template.Must(template.New("page").Parse(source))

// Render makes the page. The same site gives the same bytes. Text of the site
// cannot become markup, nor words in a command; addresses that are not of the
// web, and names that lead elsewhere than to a file, are an error.
func Render(s Site) ([]byte, error) {
	if len(s.Releases) == 0 {
		return nil, errors.New("download page: there is no release to show")
	}
	if err := s.checkURLs(); err != nil {
		return nil, fmt.Errorf("download page: %w", err)
	}
	if err := s.checkNames(); err != nil {
		return nil, fmt.Errorf("download page: %w", err)
	}
	var out bytes.Buffer
	if err := layout.Execute(&out, newView(s)); err != nil {
		return nil, fmt.Errorf("download page: %w", err)
	}
	return out.Bytes(), nil
}

func (s Site) checkURLs() error {
	urls := []string{s.Home, s.OSTreeURL}
	for _, r := range s.Releases {
		if r.Assets.BaseURL == "" {
			return fmt.Errorf("release %q has no address for its files", r.Assets.Release)
		}
		urls = append(urls, r.URL, r.Assets.BaseURL)
	}
	for _, text := range urls {
		if text == "" {
			continue
		}
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
			return fmt.Errorf("%q is no address of the web", text)
		}
	}
	return nil
}

// fileName is a name that a release page keeps as it is, and no option of a
// command.
var fileName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)

func (s Site) checkNames() error {
	for _, r := range s.Releases {
		for _, a := range r.Assets.Assets {
			names := []string{a.Name}
			if a.Signature != "" {
				names = append(names, a.Signature)
			}
			for _, p := range a.Parts {
				names = append(names, p.Name)
			}
			for _, name := range names {
				if !fileName.MatchString(name) {
					return fmt.Errorf("%q is no name of a release asset", name)
				}
			}
		}
	}
	return nil
}
