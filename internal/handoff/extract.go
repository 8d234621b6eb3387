package handoff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// errAltered is what any difference between manifest and members means.
var errAltered = errors.New("the pack was altered or is damaged; run the job that made it again")

// extractor writes the members of a pack below a staging directory.
type extractor struct {
	ctx    context.Context
	in     io.Reader
	root   *os.Root
	base   *source // nil for a whole pack
	hasher *hasher
}

// extract writes every member below stage and checks it against the manifest.
func extract(ctx context.Context, in io.Reader, stage string, m *Manifest, base *Base) error {
	root, err := os.OpenRoot(stage)
	if err != nil {
		return err
	}
	defer root.Close()
	x := extractor{ctx: ctx, in: in, root: root, hasher: newHasher()}
	defer x.hasher.Close()
	if m.Base != nil {
		if x.base, err = base.open(); err != nil {
			return err
		}
		defer x.base.Close()
	}
	for _, e := range m.Entries {
		if err := x.member(e); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
	}
	if err := x.end(); err != nil {
		return err
	}
	for i := len(m.Entries) - 1; i >= 0; i-- { // inner directories first: times change with content
		if e := m.Entries[i]; e.Type == Dir {
			if err := restoreDir(root, e); err != nil {
				return fmt.Errorf("%s: %w", e.Path, err)
			}
		}
	}
	return nil
}

// member reads and writes one member. Its header must be the one that follows
// from the manifest.
func (x *extractor) member(e Entry) error {
	want := e.head()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(x.in, got); err != nil {
		return fmt.Errorf("cut off: %w", noEOF(err))
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("the member is not what the manifest lists: %w", errAltered)
	}
	switch e.Type {
	case Dir:
		return x.root.Mkdir(string(e.Path), 0o700)
	case Symlink:
		if err := x.root.Symlink(string(e.Link), string(e.Path)); err != nil {
			return err
		}
		return restoreSymlink(x.root, e)
	case HardLink:
		return x.root.Link(string(e.Link), string(e.Path))
	default:
		return x.file(e)
	}
}

func (x *extractor) file(e Entry) error {
	f, err := x.root.OpenFile(string(e.Path), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	sum, err := x.content(f, e)
	if err != nil {
		return err
	}
	if sum != e.SHA256 {
		return fmt.Errorf("the content is not what the manifest lists: %w", errAltered)
	}
	if err := readZeros(x.in, padding(total(e.stored()))); err != nil {
		return err
	}
	if err := f.Truncate(e.Size); err != nil {
		return err
	}
	if err := restoreFile(f, e); err != nil {
		return err
	}
	return f.Close()
}

// content writes all of a file's data and returns its digest.
func (x *extractor) content(f *os.File, e Entry) (string, error) {
	var err error
	if !e.thin() {
		for _, part := range e.spans() {
			if err = x.copy(f, part); err != nil {
				break
			}
		}
	} else {
		for _, p := range e.pieces() {
			if err = x.piece(f, p); err != nil {
				break
			}
		}
	}
	return x.hasher.end(), err
}

// copy writes the next bytes of the pack.
func (x *extractor) copy(f *os.File, part Extent) error {
	for part.Length > 0 {
		buf := x.hasher.buffer()
		n := min(int64(len(buf)), part.Length)
		_, err := io.ReadFull(x.in, buf[:n])
		x.hasher.add(buf, int(n))
		if err != nil {
			return fmt.Errorf("cut off: %w", noEOF(err))
		}
		if _, err := f.WriteAt(buf[:n], part.Offset); err != nil {
			return err
		}
		part.Offset += n
		part.Length -= n
	}
	return nil
}

// piece writes a chunk from the pack or from the base.
func (x *extractor) piece(f *os.File, p piece) error {
	if p.from == nil {
		return x.copy(f, p.Extent)
	}
	if x.ctx.Err() != nil {
		return context.Cause(x.ctx)
	}
	chunk, err := x.base.read(p)
	if err != nil {
		return err
	}
	for at := 0; at < len(chunk); {
		buf := x.hasher.buffer()
		n := copy(buf, chunk[at:])
		x.hasher.add(buf, n)
		if _, err := f.WriteAt(buf[:n], p.Offset+int64(at)); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// end accepts only the zeros that tar ends with, and nothing after them.
func (x *extractor) end() error {
	if err := readZeros(x.in, endBlocks); err != nil {
		return fmt.Errorf("after the last member: %w", err)
	}
	switch n, err := x.in.Read(make([]byte, 1)); {
	case n > 0:
		return fmt.Errorf("has something after its end: %w", errAltered)
	case err != nil && !errors.Is(err, io.EOF):
		return fmt.Errorf("cut off: %w", err)
	}
	return nil
}

// readZeros reads n bytes that must be zeros.
func readZeros(r io.Reader, n int64) error {
	buf := make([]byte, n)
	if _, err := io.ReadFull(r, buf); err != nil {
		return fmt.Errorf("cut off: %w", noEOF(err))
	}
	for _, b := range buf {
		if b != 0 {
			return fmt.Errorf("there is something where nothing must be: %w", errAltered)
		}
	}
	return nil
}
