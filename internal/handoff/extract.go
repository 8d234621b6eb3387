package handoff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/format/zstdframe"
)

// errAltered is what any difference between manifest and members means.
var errAltered = errors.New("the pack was altered or is damaged; run the job that made it again")

// errStopped is what ends the work when the context has ended, which has the cause.
var errStopped = errors.New("stopped")

// extractor writes the members of a pack below a staging directory.
type extractor struct {
	in    *zstdframe.Reader
	root  *os.Root
	base  *source // nil for a whole pack
	check checker
}

// extract writes every member below stage and checks it against the manifest.
func extract(ctx context.Context, in *zstdframe.Reader, stage string, m *Manifest, base *Base) error {
	root, err := os.OpenRoot(stage)
	if err != nil {
		return err
	}
	defer root.Close()
	x := extractor{in: in, root: root, check: newChecker(ctx)}
	if m.Base != nil {
		if x.base, err = base.open(); err != nil {
			return err
		}
		defer x.base.Close()
	}
	err = x.members(m.Entries)
	if differs := x.check.group.Wait(); err == nil {
		err = differs
	}
	if errors.Is(err, errStopped) {
		err = context.Cause(x.check.ctx)
	}
	if err != nil {
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

// members reads and writes all members. What is wrong with the content of one may
// show later, in the checker.
func (x *extractor) members(list []Entry) error {
	for _, e := range list {
		if x.check.ctx.Err() != nil {
			return errStopped
		}
		if err := x.member(e); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
	}
	return x.end()
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
	if err := x.content(f, e); err != nil {
		return err
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

// content writes all of a file's data and has it checked.
func (x *extractor) content(f *os.File, e Entry) error {
	check := x.check.file(e)
	defer close(check)
	if !e.thin() {
		for _, part := range e.spans() {
			if err := reserve(f, part); err != nil {
				return err
			}
			if err := x.copy(f, part, check); err != nil {
				return err
			}
		}
		return nil
	}
	for _, p := range e.pieces() {
		if err := x.piece(f, p, check); err != nil {
			return err
		}
	}
	return nil
}

// worthReserving is from how many bytes on room is asked for before it is filled.
const worthReserving = 256 << 10

// reserve has the file system find room for a part of a file in one piece, which
// then is written to in three quarters of the time. One that cannot does without.
func reserve(f *os.File, part Extent) error {
	if part.Length < worthReserving {
		return nil
	}
	err := unix.Fallocate(int(f.Fd()), 0, part.Offset, part.Length)
	if err == nil || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return fmt.Errorf("reserve %d MiB: %w", part.Length>>20, err)
}

// copy writes the next bytes of the pack.
func (x *extractor) copy(f *os.File, part Extent, check chan<- loan) error {
	for part.Length > 0 {
		content, giveBack, err := x.in.Lend(part.Length)
		if err != nil {
			return fmt.Errorf("cut off: %w", noEOF(err))
		}
		if err := write(f, loan{content, giveBack}, part.Offset, check); err != nil {
			return err
		}
		part.Offset += int64(len(content))
		part.Length -= int64(len(content))
	}
	return nil
}

// piece writes a chunk from the pack or from the base.
func (x *extractor) piece(f *os.File, p piece, check chan<- loan) error {
	if p.from == nil {
		return x.copy(f, p.Extent, check)
	}
	if x.check.ctx.Err() != nil {
		return errStopped
	}
	chunk, err := x.base.read(p)
	if err != nil {
		return err
	}
	return write(f, chunk, p.Offset, check)
}

// write writes content and passes it on to be checked.
func write(f *os.File, l loan, at int64, check chan<- loan) error {
	_, err := f.WriteAt(l.content, at)
	check <- l
	return err
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
