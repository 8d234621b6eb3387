// Package sbom writes the software bill of materials of an operating system: the
// packages of its rpm database, as SPDX and as CycloneDX. It is the home of both
// libraries.
package sbom

import (
	"net/url"
	"strings"
	"time"
)

// System is an operating system by what it is made of.
type System struct {
	Name, Version, Arch string
	Commit              string    // ostree commit, sha256 in hex
	Created             time.Time // of the build, so that the same build has the same bill
	Namespace           string    // URI that only this bill has
	Supplier            string    // who publishes the system; empty if unknown
	Packages            []Package // sorted
}

// Package is an installed rpm package.
type Package struct {
	Name, Epoch, Version, Release, Arch string // Epoch is empty for 0
}

// EVR is [epoch:]version-release.
func (p Package) EVR() string {
	evr := p.Version + "-" + p.Release
	if p.Epoch != "" {
		evr = p.Epoch + ":" + evr
	}
	return evr
}

// NEVRA is the package's full name.
func (p Package) NEVRA() string { return p.Name + "-" + p.EVR() + "." + p.Arch }

// purl is the package URL (the type rpm of the purl specification). Who packaged
// it is not in the rpm database's list, so there is no namespace.
func (p Package) purl() string {
	var b strings.Builder
	b.WriteString("pkg:rpm/" + escape(p.Name) + "@" + escape(p.Version+"-"+p.Release) + "?arch=" + escape(p.Arch))
	if p.Epoch != "" {
		b.WriteString("&epoch=" + escape(p.Epoch))
	}
	return b.String()
}

// escape is percent encoding as purl wants it.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
