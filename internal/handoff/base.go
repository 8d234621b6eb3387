package handoff

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Base is content that the receiver of a pack has already. A pack that is made
// with one refers to its chunks instead of having them; it is thin then.
type Base struct {
	// Name says to people what the base is and where to get it.
	Name string
	// Manifest lists the content, and SHA256 stands for it. To unpack, SHA256 alone
	// is enough; "" takes any content, since every chunk is checked.
	Manifest *Manifest
	SHA256   string
	// Dir is where the content lies. To pack, it is not needed.
	Dir string
	// Cost is how many bytes the receiver must fetch to have the base. A base that
	// saves less than half of that is not used: content that is packed travels
	// twice, to the server and from it.
	Cost int64
}

// Base is the content of the receipt's pack, which lies in dir, as a base for
// another one.
func (r Receipt) Base(name, dir string) *Base {
	return &Base{Name: name, Manifest: r.Manifest, SHA256: r.Digest, Dir: dir}
}

// IndexBase makes a base of the files below dir, reading them all. What skip names,
// it leaves out; other than files and directories must not be left.
func IndexBase(ctx context.Context, name, dir string, skip func(path string) bool) (*Base, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	o := PackOptions{Skip: skip}
	for _, e := range list {
		if !skip(e.Name()) {
			o.Paths = append(o.Paths, e.Name())
		}
	}
	m, err := survey(dir, o)
	if err != nil {
		return nil, err
	}
	if _, err := digestAll(ctx, dir, m.Entries); err != nil {
		return nil, err
	}
	return &Base{Name: name, Manifest: m, SHA256: m.content(), Dir: dir}, nil
}

// content is a digest of all paths and contents, whoever owns them.
func (m *Manifest) content() string {
	sum := sha256.New()
	for _, e := range m.Entries {
		fmt.Fprintf(sum, "%q %s %s\n", string(e.Path), e.Type, e.SHA256)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// minRef is the shortest chunk that is referred to, in bytes; the reference
// takes about as much as a shorter one, compressed.
const minRef = 1 << 10

// worthThin is the share of a pack, one in this many bytes, that a base must
// save for the pack to become thin. A whole one is of use to more people.
const worthThin = 16

// refer makes chunks that the base has references, if that saves enough.
func (m *Manifest) refer(b *Base) {
	places := b.places()
	found := make([][]Chunk, len(m.Entries))
	var saved, sum int64
	for i, e := range m.Entries {
		sum += e.data()
		if e.Type != File {
			continue
		}
		var hit int64
		for _, p := range e.pieces() {
			c := Chunk{Length: p.Length, SHA256: p.sha256}
			if at, ok := places[chunkKey{p.sha256, p.Length}]; ok && p.Length >= minRef {
				c.From = &at
				hit += p.Length
			}
			found[i] = append(found[i], c)
		}
		thin := e
		thin.Chunks = found[i]
		if hit == 0 || len(thin.stored()) > maxExtents {
			found[i] = nil
			continue
		}
		saved += hit
	}
	if saved*worthThin < sum || saved*2 <= b.Cost {
		return
	}
	m.Base = &BaseID{Name: b.Name, SHA256: b.SHA256}
	for i, chunks := range found {
		if chunks != nil {
			m.Entries[i].Chunks = chunks
		}
	}
}

type chunkKey struct {
	sha256 string
	length int64
}

// places tells where the base has its chunks.
func (b *Base) places() map[chunkKey]Place {
	places := map[chunkKey]Place{}
	for _, e := range b.Manifest.Entries {
		if e.Type != File {
			continue
		}
		for _, p := range e.pieces() {
			key := chunkKey{p.sha256, p.Length}
			if _, ok := places[key]; !ok {
				places[key] = Place{e.Path, p.Offset}
			}
		}
	}
	return places
}

// match refuses a thin pack whose base is not here.
func (b *Base) match(m *Manifest) error {
	switch {
	case m.Base == nil:
		return nil
	case b == nil:
		return fmt.Errorf("refers to content of %s, which is not here; download that, too, or have the pack made without it", m.Base.Name)
	case b.SHA256 != "" && b.SHA256 != m.Base.SHA256:
		return fmt.Errorf("refers to content of %s with the manifest sha256 %s, and what is here has %s; run the job that made the pack again",
			m.Base.Name, m.Base.SHA256, b.SHA256)
	}
	return nil
}

// chunksLent is how many chunks are written and checked at a time.
const chunksLent = 3

// source reads chunks of a base.
type source struct {
	base *Base
	root *os.Root
	file *os.File // the one that was read last
	path Name
	free chan []byte // room for chunks
}

func (b *Base) open() (*source, error) {
	root, err := os.OpenRoot(b.Dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name, err)
	}
	s := &source{base: b, root: root, free: make(chan []byte, chunksLent)}
	for range chunksLent {
		s.free <- make([]byte, maxChunk)
	}
	return s, nil
}

func (s *source) Close() {
	if s.file != nil {
		s.file.Close()
	}
	s.root.Close()
}

// read lends the chunk at a place, checked.
func (s *source) read(p piece) (loan, error) {
	if err := s.reach(p); err != nil {
		return loan{}, err
	}
	room := <-s.free
	chunk := loan{room[:p.Length], func() { s.free <- room }}
	err := s.fill(chunk.content, p)
	if err != nil {
		chunk.giveBack()
	}
	return chunk, err
}

func (s *source) fill(chunk []byte, p piece) error {
	if n, err := s.file.ReadAt(chunk, p.from.Offset); n < len(chunk) {
		if err != nil && !ended(err) {
			return fmt.Errorf("%s: %w", s.base.Name, err)
		}
		return s.differs(p, "is too short")
	}
	if digest(chunk) != p.sha256 {
		return s.differs(p, "has other content")
	}
	return nil
}

// reach opens the file that a chunk is in.
func (s *source) reach(p piece) error {
	if s.file != nil && s.path == p.from.Path {
		return nil
	}
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
	f, err := s.root.OpenFile(string(p.from.Path), os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe must not hold us up
	if errors.Is(err, fs.ErrNotExist) {
		return s.differs(p, "is missing")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.base.Name, err)
	}
	s.file, s.path = f, p.from.Path
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return s.differs(p, "is not a file")
	}
	return nil
}

func (s *source) differs(p piece, how string) error {
	return fmt.Errorf("the pack refers to %s, whose %s %s; run the job that made the pack again", s.base.Name, p.from.Path, how)
}
