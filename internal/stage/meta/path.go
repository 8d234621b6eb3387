package meta

import (
	"encoding/json"
	"fmt"
	"strings"
)

// literalPrefixes begin keys that have a dot in their name.
var literalPrefixes = []string{"coreos-assembler.", "fedora-coreos."}

// split cuts a path at its dots; a first key of two words with one of the
// literal prefixes is one key.
func split(path string) ([]string, error) {
	words := strings.Split(path, ".")
	for _, word := range words {
		if word == "" {
			return nil, fmt.Errorf("%q is not a path of keys", path)
		}
	}
	for _, prefix := range literalPrefixes {
		if strings.HasPrefix(path, prefix) {
			return append([]string{words[0] + "." + words[1]}, words[2:]...), nil
		}
	}
	return words, nil
}

// find looks a path up; ok is false if it leads nowhere.
func find(object map[string]any, path []string) (v any, ok bool) {
	v = object
	for _, key := range path {
		inner, is := v.(map[string]any)
		if !is {
			return nil, false
		}
		if v, ok = inner[key]; !ok {
			return nil, false
		}
	}
	return v, true
}

// put sets the value at a path, making the objects on the way.
func put(object map[string]any, path []string, value any) error {
	for i, key := range path[:len(path)-1] {
		inner, there := object[key]
		if !there {
			inner = map[string]any{}
			object[key] = inner
		}
		next, is := inner.(map[string]any)
		if !is {
			return fmt.Errorf("%s is not an object", strings.Join(path[:i+1], "."))
		}
		object = next
	}
	object[path[len(path)-1]] = value
	return nil
}

// show is a value as a script reads it: text plainly, all else as JSON. Nothing
// is None, the word that callers of the original know.
func show(v any, ok bool) (string, error) {
	if !ok || v == nil {
		return "None", nil
	}
	if text, is := v.(string); is {
		return text, nil
	}
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return strings.TrimSuffix(out.String(), "\n"), err
}
