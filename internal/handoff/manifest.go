package handoff

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"unicode/utf8"
)

const (
	// Format is the version of the pack format that this package writes.
	Format = "nosa-handoff/2"
	// ManifestName is the archive member that holds the Manifest as JSON.
	ManifestName = ".nosa-handoff.json"
)

// Manifest says what a pack holds.
type Manifest struct {
	Format string `json:"format"`
	// Kind is what the pack is for, such as "cache" or "image".
	Kind string `json:"kind"`
	// Arch is the rpm name of the architecture the content is for.
	Arch string `json:"arch"`
	// Labels are free facts about the content, such as the config's revision.
	Labels map[string]string `json:"labels,omitempty"`
	// Base is what a thin pack refers to; nil: the pack is whole.
	Base *BaseID `json:"base,omitempty"`
	// Entries are the members in the order of the archive: a directory comes
	// before what is in it, the first name of a file before its hard links.
	Entries []Entry `json:"entries"`
}

// Type is the kind of a member.
type Type string

// The kinds of members that a pack can hold.
const (
	Dir      Type = "dir"
	File     Type = "file"
	Symlink  Type = "symlink"
	HardLink Type = "hardlink"
)

// Entry is one member of a pack.
type Entry struct {
	Path  Name  `json:"path"` // relative and clean
	Type  Type  `json:"type"`
	Mode  int64 `json:"mode"` // permission bits with setuid, setgid, sticky
	UID   int   `json:"uid"`
	GID   int   `json:"gid"`
	MTime int64 `json:"mtime"` // nanoseconds since the epoch
	// Link is the target of a symbolic link, or the path in this pack that a
	// hard link is another name of.
	Link Name `json:"link,omitempty"`
	// Xattrs maps the attribute's name to its bytes.
	Xattrs map[string][]byte `json:"xattrs,omitempty"`
	// Size is the length of a file in bytes, holes included.
	Size int64 `json:"size,omitempty"`
	// Sparse marks a file with holes, which then lie around Extents.
	Sparse bool `json:"sparse,omitempty"`
	// Extents are the parts of a sparse file that hold data, in order.
	Extents []Extent `json:"extents,omitempty"`
	// SHA256 is the hex digest of a file's content; of a sparse file, that of
	// the bytes in Extents one after another.
	SHA256 string `json:"sha256,omitempty"`
	// Chunks are what the content is made of, in order; none lies across a
	// hole. Without them the content is one chunk.
	Chunks []Chunk `json:"chunks,omitempty"`
}

// Chunk is a piece of content that is known by its digest.
type Chunk struct {
	Length int64  `json:"length"`
	SHA256 string `json:"sha256"`
	// From says where in the base the chunk is; nil: it is in the pack.
	From *Place `json:"from,omitempty"`
}

// Place is where a chunk begins in a file.
type Place struct {
	Path   Name  `json:"path"`
	Offset int64 `json:"offset"`
}

// BaseID names what a thin pack refers to.
type BaseID struct {
	Name   string `json:"name"`   // for people: where to get it
	SHA256 string `json:"sha256"` // hex digest that stands for its content
}

// spans are the parts of a file that hold data.
func (e Entry) spans() []Extent {
	switch {
	case e.Type != File || e.Size == 0:
		return nil
	case e.Sparse:
		return e.Extents
	default:
		return []Extent{{0, e.Size}}
	}
}

// pieces are the file's chunks with their places in the file.
func (e Entry) pieces() []piece {
	spans := e.spans()
	if len(e.Chunks) == 0 && len(spans) == 1 {
		return []piece{{spans[0], e.SHA256, nil}}
	}
	list := make([]piece, 0, len(e.Chunks))
	next := e.Chunks
	for _, x := range spans {
		for at := x.Offset; at < x.end() && len(next) > 0; next = next[1:] {
			list = append(list, piece{Extent{at, next[0].Length}, next[0].SHA256, next[0].From})
			at += next[0].Length
		}
	}
	return list
}

type piece struct {
	Extent
	sha256 string
	from   *Place
}

// stored are the parts of a file that are in the pack.
func (e Entry) stored() []Extent {
	if !e.thin() {
		return e.spans()
	}
	list := []Extent{}
	for _, p := range e.pieces() {
		if p.from == nil {
			list = join(list, p.Extent)
		}
	}
	return list
}

// thin tells whether some of the file is to be taken from the base.
func (e Entry) thin() bool {
	return slices.ContainsFunc(e.Chunks, func(c Chunk) bool { return c.From != nil })
}

// partly tells whether the archive must say which parts of the file it has.
func (e Entry) partly() bool { return e.Sparse || e.thin() }

// data is the number of bytes of the file, holes not counted.
func (e Entry) data() int64 { return total(e.spans()) }

// Bytes is the sum of all content, holes not counted.
func (m *Manifest) Bytes() int64 {
	var sum int64
	for _, e := range m.Entries {
		sum += e.data()
	}
	return sum
}

// Stored is the part of Bytes that is in the pack itself.
func (m *Manifest) Stored() int64 {
	var sum int64
	for _, e := range m.Entries {
		sum += total(e.stored())
	}
	return sum
}

// Name is a file name of any bytes. In JSON it is a string, or an object with
// the bytes in base64 if they are not UTF-8, which a JSON string cannot hold.
type Name string

type rawName struct {
	Base64 string `json:"base64"`
}

// MarshalJSON implements json.Marshaler.
func (n Name) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(n)) {
		return json.Marshal(string(n))
	}
	return json.Marshal(rawName{base64.StdEncoding.EncodeToString([]byte(n))})
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *Name) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '{' {
		var raw rawName
		if err := json.Unmarshal(data, &raw); err != nil {
			return err
		}
		bytes, err := base64.StdEncoding.DecodeString(raw.Base64)
		*n = Name(bytes)
		return err
	}
	return json.Unmarshal(data, (*string)(n))
}
