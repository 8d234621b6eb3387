package lock

import (
	"fmt"
	"regexp"
	"time"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
)

// decode checks a lockfile's nodes and gathers every finding.
func decode(n document.Node) (*File, error) {
	var found diag.List
	f := &File{Packages: map[string]Package{}}
	if n.KnownKeys(&found, "packages", "metadata") {
		packages, ok := n.Get("packages")
		if !ok {
			found.Addf(n.Pos, "packages is required")
		} else if packages.Expect(&found, document.Map) {
			for _, field := range packages.Fields {
				f.Packages[field.Key] = decodePackage(field, &found)
			}
		}
		if metadata, ok := n.Get("metadata"); ok && metadata.Kind != document.Null {
			f.Metadata = decodeMetadata(metadata, &found)
		}
	}
	if err := found.Err(); err != nil {
		return nil, err
	}
	return f, nil
}

var digestForm = regexp.MustCompile(`^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128}|384:[0-9a-f]{96}|1:[0-9a-f]{40})$`)

func decodePackage(field document.Field, found *diag.List) Package {
	n := field.Value
	p := Package{Pos: field.Pos}
	if field.Key == "" {
		found.Addf(field.Pos, "packages: the name of a package is empty")
	}
	if !n.KnownKeys(found, "evra", "evr", "digest", "metadata") {
		return p
	}
	evra, hasEVRA := n.Get("evra")
	evr, hasEVR := n.Get("evr")
	switch {
	case hasEVRA == hasEVR:
		n.Reject(found, "must have one of evra and evr", "")
	case hasEVRA:
		if text, ok := evra.AsString(found); ok {
			p.EVRA = text
			if _, err := ParseEVRA(text); err != nil {
				evra.Reject(found, err.Error(), "")
			}
		}
	default:
		if text, ok := evr.AsString(found); ok {
			p.EVR = text
			if _, err := ParseEVR(text); err != nil {
				evr.Reject(found, err.Error(), "")
			}
		}
	}
	if digest, ok := n.Get("digest"); ok && digest.Kind != document.Null {
		if text, ok := digest.AsString(found); ok {
			p.Digest = text
			if !digestForm.MatchString(text) {
				digest.Reject(found, fmt.Sprintf("%q is not a digest of the form sha256:HEX", text), "")
			}
		}
	}
	if metadata, ok := n.Get("metadata"); ok && metadata.Kind != document.Null && metadata.Expect(found, document.Map) {
		p.Metadata, _ = metadata.Any().(map[string]any)
	}
	return p
}

func decodeMetadata(n document.Node, found *diag.List) Metadata {
	var m Metadata
	if !n.KnownKeys(found, "generated", "rpmmd_repos") {
		return m
	}
	m.Generated = decodeTime(n, "generated", found)
	repos, ok := n.Get("rpmmd_repos")
	if !ok || repos.Kind == document.Null || !repos.Expect(found, document.Map) {
		return m
	}
	m.RpmmdRepos = make(map[string]Repo, len(repos.Fields))
	for _, f := range repos.Fields {
		if f.Value.KnownKeys(found, "generated") {
			m.RpmmdRepos[f.Key] = Repo{Generated: decodeTime(f.Value, "generated", found)}
		}
	}
	return m
}

func decodeTime(n document.Node, key string, found *diag.List) time.Time {
	value, ok := n.Get(key)
	if !ok || value.Kind == document.Null {
		return time.Time{}
	}
	text, ok := value.AsString(found)
	if !ok {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		value.Reject(found, fmt.Sprintf("%q is not a time like 2025-01-14T00:00:00Z", text), "")
	}
	return t.UTC()
}
