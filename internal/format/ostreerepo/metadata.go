package ostreerepo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/format/gvariant"
)

// Commit is a commit object.
type Commit struct {
	// Metadata are the commit's keys. Numbers are as stored, read as
	// little-endian; some writers store them big-endian.
	Metadata map[string]gvariant.Variant
	Parent   Checksum // zero: none
	Subject  string
	Body     string
	Time     time.Time // UTC, whole seconds
	Tree     Checksum  // dirtree of the root directory
	Meta     Checksum  // dirmeta of the root directory
}

// Text is the string under a metadata key, or "".
func (c *Commit) Text(key string) string {
	s, _ := c.Metadata[key].Value.(string)
	return s
}

// Texts is the list of strings under a metadata key.
func (c *Commit) Texts(key string) []string {
	list, _ := c.Metadata[key].Value.([]any)
	var texts []string
	for _, v := range list {
		if s, ok := v.(string); ok {
			texts = append(texts, s)
		}
	}
	return texts
}

// Bool is the boolean under a metadata key; ok is false if there is none.
func (c *Commit) Bool(key string) (value, ok bool) {
	value, ok = c.Metadata[key].Value.(bool)
	return value, ok
}

// Dirtree is a directory's content, each list sorted by name.
type Dirtree struct {
	Files []TreeFile
	Dirs  []TreeDir
}

// TreeFile is a file or symbolic link in a directory.
type TreeFile struct {
	Name     string
	Checksum Checksum
}

// TreeDir is a directory in a directory.
type TreeDir struct {
	Name string
	Tree Checksum
	Meta Checksum
}

// Dirmeta is the metadata of a directory.
type Dirmeta struct {
	UID, GID uint32
	Mode     uint32 // with the bits of the file type
	Xattrs   []byte // as in Header
}

// Commit loads a commit.
func (r *Repo) Commit(sum Checksum) (*Commit, error) {
	return load(r, KindCommit, sum, ParseCommit)
}

// Dirtree loads a directory's content.
func (r *Repo) Dirtree(sum Checksum) (*Dirtree, error) {
	return load(r, KindDirtree, sum, ParseDirtree)
}

// Dirmeta loads a directory's metadata.
func (r *Repo) Dirmeta(sum Checksum) (*Dirmeta, error) {
	return load(r, KindDirmeta, sum, ParseDirmeta)
}

func load[T any](r *Repo, kind Kind, sum Checksum, parse func([]byte) (*T, error)) (*T, error) {
	data, err := r.Metadata(kind, sum)
	if err != nil {
		return nil, err
	}
	v, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", kind, sum, err)
	}
	return v, nil
}

// ParseCommit reads the bytes of a commit object.
func ParseCommit(data []byte) (*Commit, error) {
	v, err := gvariant.Decode("(a{sv}aya(say)sstayay)", data)
	if err != nil {
		return nil, err
	}
	f := v.([]any)
	c := &Commit{Metadata: map[string]gvariant.Variant{}, Subject: f[3].(string), Body: f[4].(string)}
	for _, e := range f[0].([]gvariant.Entry) {
		c.Metadata[e.Key.(string)] = e.Value.(gvariant.Variant)
	}
	if parent := f[1].([]byte); len(parent) > 0 {
		if c.Parent, err = checksum(parent); err != nil {
			return nil, err
		}
	}
	seconds := gvariant.SwapUint64(f[5].(uint64))
	if seconds > 1<<40 {
		return nil, fmt.Errorf("time stamp %d is out of range", seconds)
	}
	c.Time = time.Unix(int64(seconds), 0).UTC()
	if c.Tree, err = checksum(f[6].([]byte)); err != nil {
		return nil, err
	}
	c.Meta, err = checksum(f[7].([]byte))
	return c, err
}

// ParseDirtree reads the bytes of a dirtree object.
func ParseDirtree(data []byte) (*Dirtree, error) {
	v, err := gvariant.Decode("(a(say)a(sayay))", data)
	if err != nil {
		return nil, err
	}
	lists := v.([]any)
	tree := &Dirtree{}
	names := map[string]bool{}
	previous := ""
	for _, item := range lists[0].([]any) {
		f := item.([]any)
		file := TreeFile{Name: f[0].(string)}
		if file.Checksum, err = checksum(f[1].([]byte)); err != nil {
			return nil, err
		}
		if err := checkName(file.Name, &previous, names); err != nil {
			return nil, err
		}
		tree.Files = append(tree.Files, file)
	}
	previous = ""
	for _, item := range lists[1].([]any) {
		f := item.([]any)
		dir := TreeDir{Name: f[0].(string)}
		if dir.Tree, err = checksum(f[1].([]byte)); err != nil {
			return nil, err
		}
		if dir.Meta, err = checksum(f[2].([]byte)); err != nil {
			return nil, err
		}
		if err := checkName(dir.Name, &previous, names); err != nil {
			return nil, err
		}
		tree.Dirs = append(tree.Dirs, dir)
	}
	return tree, nil
}

// checkName refuses names that could lead out of the directory, and lists that
// are not sorted or name something twice: no writer makes them.
func checkName(name string, previous *string, seen map[string]bool) error {
	switch {
	case name == "" || name == "." || name == ".." || strings.Contains(name, "/"):
		return fmt.Errorf("%q is not a file name", name)
	case name <= *previous:
		return fmt.Errorf("%q is out of order", name)
	case seen[name]:
		return fmt.Errorf("%q is there twice", name)
	}
	*previous = name
	seen[name] = true
	return nil
}

// ParseDirmeta reads the bytes of a dirmeta object.
func ParseDirmeta(data []byte) (*Dirmeta, error) {
	f, err := gvariant.Split("(uuua(ayay))", data)
	if err != nil {
		return nil, err
	}
	be := binary.BigEndian
	m := &Dirmeta{UID: be.Uint32(f[0]), GID: be.Uint32(f[1]), Mode: be.Uint32(f[2]), Xattrs: f[3]}
	if m.Mode&typeMask != typeDir {
		return nil, fmt.Errorf("mode %#o is not that of a directory", m.Mode)
	}
	_, err = ParseXattrs(m.Xattrs)
	return m, err
}

func checksum(b []byte) (c Checksum, err error) {
	if len(b) != len(c) {
		return c, errors.New("a checksum has the wrong length")
	}
	copy(c[:], b)
	return c, nil
}
