package workdir

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/nestos/nosa-actions/internal/diag"
)

// shape says what a JSON value must look like.
type shape struct {
	is       kind
	min      int            // least length of a text, in characters
	pattern  *regexp.Regexp // of a text
	enum     []string       // the texts that are allowed
	fields   map[string]shape
	required []string // fields that must be there
	closed   bool     // other fields are errors
	item     *shape   // of a list
}

type kind string

const (
	text    kind = "a string"
	integer kind = "a whole number"
	number  kind = "a number"
	boolean kind = "true or false"
	list    kind = "a list"
	object  kind = "an object"
)

var (
	digest    = shape{is: text, min: 64}
	nonEmpty  = shape{is: text, min: 1}
	flagText  = shape{is: text, enum: []string{"true", "false"}}
	anyList   = shape{is: list}
	anyObject = shape{is: object}
	count     = shape{is: integer}

	gitShape = shape{is: object, required: []string{"commit", "origin"}, closed: true, fields: map[string]shape{
		"commit": {is: text, min: 5},
		"origin": nonEmpty,
		"branch": {is: text, min: 3},
		"dirty":  flagText,
	}}
	containerShape = shape{is: object, required: []string{"image"}, fields: map[string]shape{
		"image":   nonEmpty,
		"digest":  {is: text},
		"tags":    {is: list, item: &nonEmpty},
		"comment": {is: text},
	}}
	imageShape = shape{is: object, required: []string{"path", "sha256"}, closed: true, fields: map[string]shape{
		"path":                {is: text, min: 1, pattern: regexp.MustCompile(`^[^/\x00]*$`)},
		"sha256":              digest,
		"size":                count,
		"uncompressed-sha256": digest,
		"uncompressed-size":   count,
		"skip-compression":    {is: boolean},
	}}
	withURL     = shape{is: object, required: []string{"url"}, fields: map[string]shape{"url": nonEmpty}}
	listWithURL = shape{is: list, item: &withURL}
)

func listOf(required ...string) shape {
	return shape{is: list, item: &shape{is: object, required: required}}
}

// metaShape is the schema of meta.json.
var metaShape = shape{
	is: object, closed: true,
	required: []string{
		"buildid", "name", "ostree-commit", "ostree-content-checksum",
		"ostree-timestamp", "ostree-version", "rpm-ostree-inputhash",
	},
	fields: map[string]shape{
		"buildid":                      {is: text, min: 1, pattern: regexp.MustCompile(`^[^/\x00.][^/\x00]*$`)},
		"name":                         {is: text},
		"summary":                      nonEmpty,
		"ref":                          nonEmpty,
		"build-url":                    {is: text},
		"ostree-commit":                digest,
		"ostree-content-checksum":      digest,
		"ostree-timestamp":             {is: text, pattern: regexp.MustCompile(`\d{4}-\d{2}-\d{2}T.*Z`)},
		"ostree-version":               {is: text},
		"rpm-ostree-inputhash":         digest,
		"ostree-n-metadata-total":      count,
		"ostree-n-metadata-written":    count,
		"ostree-n-content-total":       count,
		"ostree-n-content-written":     count,
		"ostree-n-cache-hits":          count,
		"ostree-content-bytes-written": count,
		"pkgdiff":                      anyList,
		"advisories-diff":              anyList,
		"parent-pkgdiff":               anyList,
		"parent-advisories-diff":       anyList,
		"images":                       {is: object, closed: true, fields: imageShapes()},

		"coreos-assembler.basearch":              nonEmpty,
		"coreos-assembler.build-timestamp":       nonEmpty,
		"coreos-assembler.code-source":           {is: text, enum: []string{"container", "bind mount"}},
		"coreos-assembler.config-gitrev":         nonEmpty,
		"coreos-assembler.config-dirty":          flagText,
		"coreos-assembler.config-variant":        nonEmpty,
		"coreos-assembler.container-config-git":  gitShape,
		"coreos-assembler.container-image-git":   gitShape,
		"coreos-assembler.yumrepos-git":          gitShape,
		"coreos-assembler.image-config-checksum": digest,
		"coreos-assembler.image-input-checksum":  digest,
		"coreos-assembler.image-genver":          count,
		"coreos-assembler.delayed-meta-merge":    {is: boolean},
		"coreos-assembler.meta-stamp":            {is: number},
		"coreos-assembler.overrides-active":      {is: boolean},

		"fedora-coreos.parent-version": {is: text, min: 12},
		"fedora-coreos.parent-commit":  digest,

		"base-oscontainer":     containerShape,
		"extensions-container": containerShape,
		"oscontainer":          containerShape,
		"release-payload":      containerShape,
		"kubevirt":             containerShape,
		"extensions":           {is: object, required: []string{"path", "sha256", "rpm-ostree-state", "manifest"}},

		"aliyun":   listOf("name", "id"),
		"amis":     listOf("name", "hvm", "snapshot"),
		"azure":    withURL,
		"gcp":      {is: object, required: []string{"image", "url"}},
		"ibmcloud": listWithURL,
		"powervs":  listWithURL,
		"koji":     anyObject,
		"s3":       anyObject,
	},
}

func imageShapes() map[string]shape {
	shapes := map[string]shape{}
	for _, k := range imageKinds {
		shapes[k.Name] = imageShape
	}
	return shapes
}

// validate checks the content of a meta.json and reports all findings at once.
func validate(meta map[string]any, file string) error {
	var found diag.List
	metaShape.check(meta, "", func(path, format string, args ...any) {
		msg := fmt.Sprintf(format, args...)
		if path != "" {
			msg = path + ": " + msg
		}
		found.Addf(diag.Pos{File: file}, "%s", msg)
	})
	return found.Err()
}

type report func(path, format string, args ...any)

func (s shape) check(v any, path string, say report) {
	if !s.is.holds(v) {
		say(path, "must be %s", s.is)
		return
	}
	switch v := v.(type) {
	case string:
		s.checkText(v, path, say)
	case []any:
		for i, item := range v {
			if s.item != nil {
				s.item.check(item, fmt.Sprintf("%s[%d]", path, i), say)
			}
		}
	case map[string]any:
		s.checkFields(v, path, say)
	}
}

func (s shape) checkText(v, path string, say report) {
	switch {
	case utf8.RuneCountInString(v) < s.min:
		say(path, "%q is too short, it needs %d characters", v, s.min)
	case s.pattern != nil && !s.pattern.MatchString(v):
		say(path, "%q does not match %s", v, s.pattern)
	case s.enum != nil && !slices.Contains(s.enum, v):
		say(path, "%q must be one of %s", v, strings.Join(s.enum, ", "))
	}
}

func (s shape) checkFields(v map[string]any, path string, say report) {
	for _, name := range s.required {
		if _, ok := v[name]; !ok {
			say(path, "key %q is missing", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		field, known := s.fields[name]
		switch {
		case known:
			field.check(v[name], join(path, name), say)
		case s.closed:
			say(path, "unknown key %q", name)
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// holds tells whether a decoded JSON value is of the kind.
func (k kind) holds(v any) bool {
	switch v := v.(type) {
	case string:
		return k == text
	case bool:
		return k == boolean
	case []any:
		return k == list
	case map[string]any:
		return k == object
	case json.Number:
		_, err := v.Int64()
		return k == number || k == integer && err == nil
	}
	return false
}
