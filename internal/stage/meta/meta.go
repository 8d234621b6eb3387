// Package meta is the stage that reads and changes the metadata of a build on
// behalf of pipelines.
package meta

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/nestos/nosa-actions/internal/workdir"
)

// Get returns the value at a path of keys joined by dots. What starts with
// coreos-assembler. or fedora-coreos. has a dot in its first key. An absent value
// is "None"; what is not text is JSON.
func Get(b workdir.Build, path string) (string, error) {
	keys, err := split(path)
	if err != nil {
		return "", err
	}
	m, err := b.Meta()
	if err != nil {
		return "", err
	}
	object, err := m.Object()
	if err != nil {
		return "", err
	}
	return show(find(object, keys))
}

// Setting is one value to set.
type Setting struct {
	Path  string
	Value any // string, bool or json.Number
}

// ParseSetting reads "PATH=VALUE" as text to set. The original takes no value
// with an equals sign, so neither do we.
func ParseSetting(pair string) (Setting, error) {
	path, value, ok := strings.Cut(pair, "=")
	if !ok || path == "" || strings.Contains(value, "=") {
		return Setting{}, fmt.Errorf("%q is not of the form KEY=VALUE with one equals sign", pair)
	}
	return Setting{Path: path, Value: value}, nil
}

// ParseIntSetting reads "PATH=NUMBER".
func ParseIntSetting(pair string) (Setting, error) {
	s, err := ParseSetting(pair)
	if err != nil {
		return Setting{}, err
	}
	n := json.Number(s.Value.(string))
	if _, err := n.Int64(); err != nil {
		return Setting{}, fmt.Errorf("%q: %s is not a whole number", pair, n)
	}
	return Setting{Path: s.Path, Value: n}, nil
}

// Set sets values, all or none, in meta.json itself and checks the result.
func Set(b workdir.Build, settings []Setting) error {
	return b.Update(func(m *workdir.Meta) error {
		return b.Edit(m, func(object map[string]any) error {
			for _, s := range settings {
				keys, err := split(s.Path)
				if err != nil {
					return err
				}
				if err := put(object, keys, s.Value); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// AddArtifact takes over the top-level keys of a JSON file, as the stage of the
// artifact would: with delayed merge into meta.ARTIFACT.json.
func AddArtifact(b workdir.Build, artifact, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var add map[string]json.RawMessage
	if err := json.Unmarshal(data, &add); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	m, err := b.Meta()
	if err != nil {
		return err
	}
	err = b.Edit(m, func(object map[string]any) error {
		for key, raw := range add {
			value, err := workdir.DecodeValue(raw)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", file, key, err)
			}
			object[key] = value
		}
		return nil
	})
	if err != nil {
		return err
	}
	return b.Merge(artifact, m)
}

// Dump writes the whole metadata as it lies in meta.json.
func Dump(b workdir.Build, w io.Writer) error {
	m, err := b.Meta()
	if err != nil {
		return err
	}
	data, err := m.JSON()
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// ImagePath is the absolute path of an artifact's file.
func ImagePath(b workdir.Build, image string) (string, error) {
	if _, err := workdir.FindImageKind(image); err != nil {
		return "", err
	}
	_, path, err := b.Image(image)
	return path, err
}
