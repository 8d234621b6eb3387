package page

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/format/streammeta"
)

// view is the page as its template sees it.
type view struct {
	Site
	Latest release
	Older  []release
}

type release struct {
	Release
	Version, Day string
	Groups       []group // of images, by platform
	Extras       []file  // what is no image: checksums, metadata, ...
	Sums         string  // URL of SHA256SUMS; may be empty
	Machines     []machine
	ChangeSets   []changeSet
	Verify       []snippet
}

type group struct {
	platform
	Files []file
}

type file struct {
	streammeta.Asset
	URL, SizeText, PlainSizeText, SignatureURL string
	PartLinks                                  []partLink
	Steps                                      []snippet
	Hint                                       string
}

// partLink is a part of a file that was split.
type partLink struct {
	Number    int
	Name, URL string
}

type machine struct {
	Arch
	Updates []snippet
}

type changeSet struct {
	Title   string
	Changes []Change
}

// snippet is a command to copy.
type snippet struct{ Title, Code string }

func newView(s Site) view {
	v := view{Site: s, Latest: newRelease(s, s.Releases[0])}
	for _, r := range s.Releases[1:] {
		v.Older = append(v.Older, newRelease(s, r))
	}
	return v
}

func newRelease(s Site, r Release) release {
	r.Assets.BaseURL = strings.TrimSuffix(r.Assets.BaseURL, "/")
	v := release{Release: r, Version: r.Assets.Release}
	if !r.Date.IsZero() {
		v.Day = r.Date.UTC().Format("2006-01-02")
	}
	for _, a := range r.Assets.Assets {
		v.place(newFile(r.Assets.BaseURL, a))
	}
	slices.SortStableFunc(v.Groups, func(a, b group) int { return rank(a.platform) - rank(b.platform) })
	for _, a := range r.Arches {
		v.Machines = append(v.Machines, machine{a, updates(s, a)})
	}
	v.ChangeSets = changeSets(r.Changes)
	v.Verify = v.verify(s)
	return v
}

func newFile(base string, a streammeta.Asset) file {
	f := file{Asset: a, SizeText: size(a.Size), Hint: hint(a.Artifact)}
	if len(a.Parts) == 0 {
		f.URL = base + "/" + a.Name
	}
	for i, p := range a.Parts {
		f.PartLinks = append(f.PartLinks, partLink{i + 1, p.Name, base + "/" + p.Name})
	}
	if a.UncompressedSize > a.Size {
		f.PlainSizeText = size(a.UncompressedSize)
	}
	if a.Signature != "" {
		f.SignatureURL = base + "/" + a.Signature
	}
	f.Steps = []snippet{{"Download and verify", download(base, a) + "\n" + check(a)}}
	if code := use(a); code != "" {
		f.Steps = append(f.Steps, snippet{useTitle(a.Artifact), code})
	}
	return f
}

func useTitle(artifact string) string {
	switch artifact {
	case "qemu":
		return "Boot"
	case "metal", "metal4k", "live-iso":
		return "Write to a disk"
	case "openstack":
		return "Upload"
	}
	return "Push to a registry"
}

// place puts a file into the group of its platform.
func (v *release) place(f file) {
	if notImages[f.Artifact] {
		if f.Name == "SHA256SUMS" {
			v.Sums = f.URL
		}
		v.Extras = append(v.Extras, f)
		return
	}
	p := findPlatform(f.Artifact)
	at := slices.IndexFunc(v.Groups, func(g group) bool { return g.ID == p.ID })
	if at < 0 {
		v.Groups, at = append(v.Groups, group{platform: p}), len(v.Groups)
	}
	v.Groups[at].Files = append(v.Groups[at].Files, f)
}

// rank is the place of a platform on the page.
func rank(p platform) int {
	at := slices.IndexFunc(platforms, func(q platform) bool { return q.ID == p.ID })
	if at < 0 {
		return len(platforms)
	}
	return at
}

// verify is how all files that were downloaded are checked at once.
func (v *release) verify(s Site) (list []snippet) {
	if v.Sums != "" {
		list = append(list, snippet{"Checksums", line("curl -fLO", v.Sums) + "\nsha256sum --check --ignore-missing SHA256SUMS"})
	}
	if s.Repository != "" {
		list = append(list, snippet{"Provenance", line("gh attestation verify FILE --repo", s.Repository)})
	}
	return list
}

func changeSets(changes []Change) (sets []changeSet) {
	for _, kind := range []struct {
		title string
		has   func(Change) bool
	}{
		{"Updated", func(c Change) bool { return c.From != "" && c.To != "" && !c.Down }},
		{"Downgraded", func(c Change) bool { return c.From != "" && c.To != "" && c.Down }},
		{"Added", func(c Change) bool { return c.From == "" }},
		{"Removed", func(c Change) bool { return c.From != "" && c.To == "" }},
	} {
		set := changeSet{Title: kind.title}
		for _, c := range changes {
			if kind.has(c) {
				set.Changes = append(set.Changes, c)
			}
		}
		if set.Changes != nil {
			sets = append(sets, set)
		}
	}
	return sets
}

// size is a number of bytes for people, in powers of ten as file managers and
// release pages count.
func size(n int64) string {
	f, unit := float64(n), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if f < 999.5 {
			break
		}
		f, unit = f/1000, next
	}
	if unit == "B" || f >= 9.95 {
		return fmt.Sprintf("%.0f %s", f, unit)
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}
