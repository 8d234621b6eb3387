package handoff

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// Limits bound what Unpack accepts. A zero field means the default.
type Limits struct {
	Entries int   // members; default 200,000
	Bytes   int64 // content without holes; default 64 GiB
}

const (
	defaultEntries  = 200_000
	defaultBytes    = 64 << 30
	maxManifest     = 64 << 20
	maxFile         = 1 << 43 // 8 TiB: what a file may claim to be with its holes
	maxExtents      = 16_384  // parts of a file; tar programs read a map of at most 1 MiB
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
		return fmt.Errorf("format is %q; this version reads %q: use the same version of the actions in all jobs", m.Format, Format)
	}
	if len(m.Entries) > l.Entries {
		return fmt.Errorf("%d members; at most %d are accepted", len(m.Entries), l.Entries)
	}
	if m.Base != nil && !isDigest(m.Base.SHA256) {
		return errors.New("the digest of the base is malformed")
	}
	seen := make(map[Name]Type, len(m.Entries))
	var sum int64
	for _, e := range m.Entries {
		if err := e.validate(seen); err != nil {
			return fmt.Errorf("%q: %w", e.Path, err)
		}
		if m.Base == nil && e.thin() {
			return fmt.Errorf("%q: refers to a base, and none is named", e.Path)
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
	if e.Type != File && (e.Size != 0 || e.SHA256 != "" || e.Sparse || e.Extents != nil || e.Chunks != nil) {
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
	if !isDigest(e.SHA256) {
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
		end = x.end()
	}
	return e.checkChunks()
}

// checkChunks wants chunks to fill the spans of data exactly.
func (e Entry) checkChunks() error {
	if len(e.Chunks) == 0 {
		return nil
	}
	next := e.Chunks
	for _, x := range e.spans() {
		for left := x.Length; left > 0; next = next[1:] {
			if len(next) == 0 || next[0].Length <= 0 || next[0].Length > left {
				return errors.New("chunks do not fit the file")
			}
			if err := next[0].check(); err != nil {
				return err
			}
			left -= next[0].Length
		}
	}
	if len(next) > 0 || len(e.stored()) > maxExtents {
		return errors.New("chunks do not fit the file")
	}
	return nil
}

func (c Chunk) check() error {
	if !isDigest(c.SHA256) {
		return errors.New("sha256 of a chunk is malformed")
	}
	if c.From == nil {
		return nil
	}
	if c.From.Offset < 0 || c.From.Offset > maxFile || c.Length > maxChunk {
		return errors.New("place in the base is out of range")
	}
	if err := checkPath(string(c.From.Path)); err != nil {
		return fmt.Errorf("place in the base: %w", err)
	}
	return nil
}

func isDigest(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
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
