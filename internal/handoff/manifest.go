package handoff

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// Format is the version of the pack format that this package writes.
	Format = "nosa-handoff/1"
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
}

// Extent is a range of bytes.
type Extent struct {
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`
}

// data is the number of bytes that are stored for the file.
func (e Entry) data() int64 {
	if !e.Sparse {
		return e.Size
	}
	var sum int64
	for _, x := range e.Extents {
		sum += x.Length
	}
	return sum
}

// Bytes is the sum of all content, holes not counted.
func (m *Manifest) Bytes() int64 {
	var sum int64
	for _, e := range m.Entries {
		sum += e.data()
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

// Limits bound what Unpack accepts. A zero field means the default.
type Limits struct {
	Entries int   // members; default 200,000
	Bytes   int64 // content without holes; default 64 GiB
}

const (
	defaultEntries  = 200_000
	defaultBytes    = 64 << 30
	maxManifest     = 128 << 20
	maxFile         = 1 << 43 // 8 TiB: what a file may claim to be with its holes
	maxExtents      = 16_384  // archive/tar reads a sparse map of at most 1 MiB
	maxPath         = 4096
	maxXattrs       = 64 << 10 // bytes of attributes of one member
	permissionsMask = 0o7777
)

func (l Limits) orDefault() Limits {
	if l.Entries == 0 {
		l.Entries = defaultEntries
	}
	if l.Bytes == 0 {
		l.Bytes = defaultBytes
	}
	return l
}

// validate checks everything that can be known before content is read. After
// it, every path's parents are directories of the pack itself, so that no
// member can reach through a link.
func (m *Manifest) validate(l Limits) error {
	l = l.orDefault()
	if m.Format != Format {
		return fmt.Errorf("format is %q; this version reads %q", m.Format, Format)
	}
	if len(m.Entries) > l.Entries {
		return fmt.Errorf("%d members; at most %d are accepted", len(m.Entries), l.Entries)
	}
	seen := make(map[Name]Type, len(m.Entries))
	var sum int64
	for _, e := range m.Entries {
		if err := e.validate(seen); err != nil {
			return fmt.Errorf("%q: %w", e.Path, err)
		}
		if sum += e.data(); sum > l.Bytes {
			return fmt.Errorf("more than %d bytes of content", l.Bytes)
		}
		seen[e.Path] = e.Type
	}
	return nil
}

func (e Entry) validate(seen map[Name]Type) error {
	if err := checkPath(string(e.Path)); err != nil {
		return err
	}
	if _, twice := seen[e.Path]; twice {
		return errors.New("listed twice")
	}
	if parent := path.Dir(string(e.Path)); parent != "." && seen[Name(parent)] != Dir {
		return fmt.Errorf("%q is not a directory of this pack listed before", parent)
	}
	if e.Mode&^permissionsMask != 0 || e.UID < 0 || e.GID < 0 {
		return errors.New("mode or owner out of range")
	}
	if e.Type != File && (e.Size != 0 || e.SHA256 != "" || e.Sparse || e.Extents != nil) {
		return fmt.Errorf("a %s has no content", e.Type)
	}
	if err := e.checkXattrs(); err != nil {
		return err
	}
	switch e.Type {
	case Dir:
		return e.noLink()
	case File:
		return errors.Join(e.noLink(), e.checkContent())
	case Symlink:
		if e.Link == "" || strings.Contains(string(e.Link), "\x00") || len(e.Link) > maxPath {
			return errors.New("a symbolic link needs a target")
		}
		return nil
	case HardLink:
		if seen[e.Link] != File {
			return fmt.Errorf("hard link to %q, which is not a file of this pack listed before", e.Link)
		}
		return nil
	default:
		return fmt.Errorf("type %q is not accepted", e.Type)
	}
}

func (e Entry) noLink() error {
	if e.Link != "" {
		return fmt.Errorf("a %s has no link target", e.Type)
	}
	return nil
}

func (e Entry) checkContent() error {
	if e.Size < 0 || e.Size > maxFile {
		return fmt.Errorf("size %d is out of range", e.Size)
	}
	if len(e.SHA256) != 64 || strings.Trim(e.SHA256, "0123456789abcdef") != "" {
		return errors.New("sha256 is missing or malformed")
	}
	if !e.Sparse && e.Extents != nil || len(e.Extents) > maxExtents {
		return errors.New("extents do not fit the file")
	}
	var end int64
	for _, x := range e.Extents {
		if x.Offset < end || x.Length <= 0 || x.Length > e.Size || x.Offset > e.Size-x.Length {
			return errors.New("extents overlap or lie outside the file")
		}
		end = x.Offset + x.Length
	}
	return nil
}

func (e Entry) checkXattrs() error {
	sum := 0
	for name, value := range e.Xattrs {
		if !utf8.ValidString(name) || strings.ContainsAny(name, "=\x00") || !strings.Contains(name, ".") {
			return fmt.Errorf("extended attribute %q is malformed", name)
		}
		sum += len(name) + len(value)
	}
	if sum > maxXattrs {
		return fmt.Errorf("more than %d bytes of extended attributes", maxXattrs)
	}
	if e.Type == HardLink && sum > 0 {
		return errors.New("a hard link has no extended attributes of its own")
	}
	return nil
}

// checkPath accepts relative, clean paths that stay inside.
func checkPath(p string) error {
	switch {
	case p == "" || len(p) > maxPath || strings.Contains(p, "\x00"):
		return errors.New("path is empty, too long, or has a NUL")
	case strings.HasPrefix(p, "/"):
		return errors.New("path is absolute")
	case path.Clean(p) != p || p == "." || p == ".." || strings.HasPrefix(p, "../"):
		return errors.New("path is not clean or leads outside")
	case p == ManifestName:
		return errors.New("name is reserved")
	}
	return nil
}

// equal compares what a tar header can tell of a member.
func (e Entry) equal(o Entry) bool {
	if len(e.Xattrs) != len(o.Xattrs) {
		return false
	}
	for name, value := range e.Xattrs {
		if got, ok := o.Xattrs[name]; !ok || !slices.Equal(got, value) {
			return false
		}
	}
	return e.Path == o.Path && e.Type == o.Type && e.Mode == o.Mode && e.UID == o.UID &&
		e.GID == o.GID && e.MTime == o.MTime && e.Link == o.Link && e.Size == o.Size
}
