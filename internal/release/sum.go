package release

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
)

// limits are how large an asset may be. Files above that are split.
type limits struct {
	asset int64 // the largest asset, in bytes
	part  int64 // size of all parts but the last
}

// github are the limits of GitHub: 2^31 bytes are refused already. Parts are
// half of it, as several small uploads end sooner than one large and one small.
var github = limits{asset: 1<<31 - 1, part: 1 << 30}

// digest describes a file: whole, and in the parts that it would be split into.
type digest struct {
	size   int64
	sha256 string
	parts  []string // sha256 of each; none where the file fits into one asset
}

// summer computes a digest of what is written to it. Files that fit into one
// part are hashed once: the first part's state is the whole's.
type summer struct {
	limits
	whole, part hash.Hash // part is nil within the first one
	n           int64
	sums        []string
}

func newSummer(l limits) *summer { return &summer{limits: l, whole: sha256.New()} }

func (s *summer) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		k := min(int64(len(rest)), s.limits.part-s.n%s.limits.part)
		s.whole.Write(rest[:k])
		if s.part != nil {
			s.part.Write(rest[:k])
		}
		s.n += k
		if s.n%s.limits.part == 0 {
			s.endPart()
		}
		rest = rest[k:]
	}
	return len(p), nil
}

func (s *summer) endPart() {
	h := s.part
	if h == nil {
		h = s.whole
	}
	s.sums = append(s.sums, hex.EncodeToString(h.Sum(nil)))
	s.part = sha256.New()
}

// digest ends the sum.
func (s *summer) digest() digest {
	d := digest{size: s.n, sha256: hex.EncodeToString(s.whole.Sum(nil))}
	if s.n > s.limits.asset {
		if s.n%s.limits.part != 0 {
			s.endPart()
		}
		d.parts = s.sums
	}
	return d
}

// sumFile computes the digest of a file.
func sumFile(path string, l limits, guard func(io.Reader) io.Reader) (digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return digest{}, err
	}
	defer f.Close()
	s := newSummer(l)
	// A plain writer: with the file's own WriteTo the guard would be passed by.
	if _, err := io.CopyBuffer(s, struct{ io.Reader }{guard(f)}, make([]byte, 1<<20)); err != nil {
		return digest{}, fmt.Errorf("read %s: %w", path, err)
	}
	return s.digest(), nil
}

// sections are the assets that a file becomes: itself, or its parts.
func sections(name, path, contentType string, d digest, l limits) []Asset {
	if len(d.parts) == 0 {
		return []Asset{{Name: name, Path: path, Size: d.size, SHA256: d.sha256, ContentType: contentType}}
	}
	var assets []Asset
	for i, sum := range d.parts {
		offset := int64(i) * l.part
		assets = append(assets, Asset{
			Name: partName(name, i), Path: path, Offset: offset, Size: min(l.part, d.size-offset),
			SHA256: sum, ContentType: "application/octet-stream",
		})
	}
	return assets
}

// partName is the name of a part, such that names sort as parts follow.
func partName(name string, i int) string { return fmt.Sprintf("%s.part%03d", name, i+1) }
