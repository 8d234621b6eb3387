package release

import (
	"fmt"
	"path"
	"strings"

	"github.com/nestos/nosa-actions/internal/diag"
)

// TagFormats are the tags that fit a build unless others are given: its version
// itself, with a "v", with a name before it, or with the word of a prerelease
// after it.
var TagFormats = []string{
	"VERSION", "vVERSION", "*-VERSION", "*/VERSION", "*/vVERSION", "VERSION-[a-z]*", "vVERSION-[a-z]*",
}

// Prereleases are the tags of prereleases unless other patterns are given.
var Prereleases = []string{"*-alpha*", "*-beta*", "*-rc*", "*-pre*", "*-dev*", "*.dev.*", "*.beta.*", "*.rc.*"}

// checkTag holds the tag against the build's id and version.
func checkTag(tag string, formats []string, id, version string) error {
	if tag == "" {
		return refuse("there is no tag to release", "run on a pushed tag, or name the tag")
	}
	if len(formats) == 0 {
		formats = TagFormats
	}
	for _, format := range formats {
		for _, v := range []string{id, version} {
			ok, err := path.Match(strings.ReplaceAll(format, "VERSION", literal(v)), tag)
			if err != nil {
				return refuse("tag format %q is no pattern", "write VERSION where the version stands, and * for anything", format)
			}
			if ok && v != "" {
				return nil
			}
		}
	}
	var found diag.List
	found.Add(diag.Finding{
		Message: fmt.Sprintf("tag %s does not fit build %s of version %s", tag, id, version),
		Mend:    fmt.Sprintf("tag it %s, build with the version of the tag, or say how tags are made (tag-format)", version),
	})
	return found.Err()
}

// literal makes a pattern that matches s alone.
func literal(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// IsPrerelease tells by patterns whether the tag is that of a prerelease; "true"
// and "false" are patterns for all and for none.
func IsPrerelease(tag string, patterns []string) (bool, error) {
	if len(patterns) == 0 {
		patterns = Prereleases
	}
	last := tag[strings.LastIndexByte(tag, '/')+1:]
	for _, p := range patterns {
		switch p {
		case "true":
			return true, nil
		case "false":
			continue
		}
		ok, err := path.Match(p, tag)
		if !ok && err == nil {
			ok, err = path.Match(p, last)
		}
		if err != nil {
			return false, refuse("prerelease pattern %q is no pattern", "write * for anything, or true or false", p)
		}
		if ok {
			return true, nil
		}
	}
	return false, nil
}
