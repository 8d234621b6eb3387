package manifest

import (
	"maps"
	"reflect"
	"slices"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
)

// imply gives one treefile, before its includes, the keys that others of its
// keys imply. So they merge like keys that it says itself: whoever includes it
// may say otherwise, what it includes may not.
func (l *loader) imply(t tree) {
	if n := t["container"]; n.Text == "true" {
		for _, key := range slices.Sorted(maps.Keys(ofContainer)) {
			value := ofContainer[key]
			value.Pos, value.Path = n.Pos, key
			if own, said := t[key]; said && !reflect.DeepEqual(own.Any(), value.Any()) {
				l.found.Add(diag.Finding{
					Severity: diag.Warning, Pos: own.Pos,
					Message: own.Prefix("has no effect in a treefile that says container: true"),
				})
			}
			t[key] = value
		}
	}
	if n := t["edition"]; n.Text == Edition2024 {
		for key, value := range ofEdition2024 {
			if _, said := t[key]; !said {
				value.Pos, value.Path = n.Pos, key
				t[key] = value
			}
		}
	}
}

var noCheck = document.Node{Kind: document.Map, Fields: []document.Field{
	{Key: "type", Value: document.Node{Kind: document.String, Text: CheckNone}},
}}

// ofContainer is what container: true means: a tree that does not boot needs
// neither a kernel's place nor labels nor users that stay the same.
var ofContainer = map[string]document.Node{
	"boot-location":   {Kind: document.String, Text: BootModules},
	"selinux":         {Kind: document.Bool, Text: "false"},
	"tmp-is-dir":      {Kind: document.Bool, Text: "true"},
	"preserve-passwd": {Kind: document.Bool, Text: "false"},
	"check-passwd":    noCheck,
	"check-groups":    noCheck,
}

// ofEdition2024 are the defaults that came with that edition.
var ofEdition2024 = map[string]document.Node{
	"boot-location": {Kind: document.String, Text: BootModules},
	"tmp-is-dir":    {Kind: document.Bool, Text: "true"},
}
