package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// JSON is the flattened treefile with its keys sorted, as rpm-ostree compose
// tree --print-only prints it: variables, repovars and conditional-include are
// not part of it, keys that no file sets neither.
func (m *Manifest) JSON() ([]byte, error) { return m.json() }

func (m *Manifest) json(without ...string) ([]byte, error) {
	without = append(without, "repovars")
	fields := make(map[string]any, len(m.tree))
	for key, n := range m.tree {
		if !slices.Contains(without, key) {
			fields[key] = n.Any()
		}
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(fields); err != nil {
		return nil, fmt.Errorf("write flattened treefile: %w", err)
	}
	return buf.Bytes(), nil
}

// Digest is the sha256, in hex, of all that the treefile contributes to a
// compose: its flattened JSON without metadata, and the contents of the files
// it mentions in the order postprocess-script, check-passwd, check-groups,
// add-files.
func (m *Manifest) Digest() (string, error) {
	data, err := m.json("metadata")
	if err != nil {
		return "", err
	}
	h := sha256.New()
	add := func(b []byte) {
		// Each part goes in with its length, lest bytes move between them unseen.
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(b)))
		h.Write(size[:])
		h.Write(b)
	}
	add(data)
	for _, e := range m.externals() {
		content, err := e.Read()
		if err != nil {
			return "", fmt.Errorf("%s: %w", e.Pos, err)
		}
		add(content)
	}
	for _, f := range m.AddFiles {
		info, err := os.Stat(f.Source.Path) // its mode becomes that of the file in the tree
		if err != nil {
			return "", fmt.Errorf("%s: %w", f.Source.Pos, err)
		}
		add([]byte(info.Mode().String()))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// externals are the files that the treefile mentions and that a compose reads.
func (m *Manifest) externals() []External {
	var files []External
	if m.PostprocessScript != nil {
		files = append(files, *m.PostprocessScript)
	}
	for _, c := range []Check{m.CheckPasswd, m.CheckGroups} {
		if c.Type == CheckFile {
			files = append(files, c.File)
		}
	}
	for _, f := range m.AddFiles {
		files = append(files, f.Source)
	}
	return files
}
