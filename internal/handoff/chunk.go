package handoff

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	chunkers "github.com/PlakarKorp/go-cdc-chunkers"
	_ "github.com/PlakarKorp/go-cdc-chunkers/chunkers/fastcdc" // registers chunkerName
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Content is cut where it says itself, so that what was only moved, or has
// something before it that was not there, is cut at the same places again. The
// numbers weigh the size of manifests (some 100 bytes a chunk) against what is
// found again.
const (
	chunkerName = "fastcdc-v1.0.0"
	minChunk    = 512 << 10
	meanChunk   = 1 << 20
	maxChunk    = 4 << 20
)

// sideBySide is from how many bytes on two digests are made at once.
const sideBySide = 64 << 10

// stamp tells whether a file was written to since.
type stamp struct {
	ino          uint64
	size         int64
	mtime, ctime unix.Timespec
}

func stampOf(f *os.File) (stamp, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return stamp{}, &os.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	return stamp{st.Ino, st.Size, st.Mtim, st.Ctim}, nil
}

var errChanged = errors.New("changed while it was packed; let no stage run meanwhile")

// digestAll fills in holes, chunks and digests, on all cores, and returns the
// stamps of the files as they were read.
func digestAll(ctx context.Context, root string, entries []Entry) ([]stamp, error) {
	stamps := make([]stamp, len(entries))
	cutters := make(chan *cutter, workers()) // each has a buffer
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers())
	for i := range entries {
		e := &entries[i]
		if e.Type != File {
			continue
		}
		g.Go(func() error {
			var c *cutter
			select {
			case c = <-cutters:
			default:
				c = new(cutter)
			}
			defer func() { cutters <- c }()
			var err error
			if stamps[i], err = c.digest(ctx, root, e); err != nil {
				return fmt.Errorf("read %s: %w", e.Path, err)
			}
			return nil
		})
	}
	return stamps, g.Wait()
}

// cutter cuts files into chunks, one after another.
type cutter struct {
	chunker *chunkers.Chunker
}

// digest finds the file's holes, chunks and digest.
func (c *cutter) digest(ctx context.Context, root string, e *Entry) (stamp, error) {
	f, err := os.Open(filepath.Join(root, string(e.Path)))
	if err != nil {
		return stamp{}, err
	}
	defer f.Close()
	was, err := stampOf(f)
	if err != nil {
		return stamp{}, err
	}
	if was.size != e.Size {
		return stamp{}, errChanged
	}
	if e.Extents, e.Sparse, err = extents(f, e.Size); err != nil {
		return stamp{}, err
	}
	whole := sha256.New()
	for _, x := range e.spans() {
		in := interruptible{ctx, io.NewSectionReader(f, x.Offset, x.Length)}
		n, err := c.cut(in, e, whole)
		if err != nil {
			return stamp{}, err
		}
		if n != x.Length {
			return stamp{}, errChanged
		}
	}
	e.SHA256 = hex.EncodeToString(whole.Sum(nil))
	if len(e.Chunks) == 1 {
		e.Chunks = nil // the digest of the file says it
	}
	return was, nil
}

// cut appends the chunks of r and adds them to the digest of the whole.
func (c *cutter) cut(r io.Reader, e *Entry, whole hash.Hash) (int64, error) {
	if c.chunker == nil {
		var err error
		c.chunker, err = chunkers.NewChunker(chunkerName, r, &chunkers.ChunkerOpts{MinSize: minChunk, NormalSize: meanChunk, MaxSize: maxChunk})
		if err != nil {
			return 0, fmt.Errorf("set up chunks: %w", err)
		}
	} else {
		c.chunker.Reset(r)
	}
	var read int64
	for {
		chunk, err := c.chunker.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			return read, err
		}
		if len(chunk) > 0 {
			read += int64(len(chunk))
			e.Chunks = append(e.Chunks, Chunk{Length: int64(len(chunk)), SHA256: both(whole, chunk)})
		}
		if err != nil {
			return read, nil
		}
	}
}

// both adds a chunk to the digest of the whole and gives its own, at once.
func both(whole hash.Hash, chunk []byte) string {
	if len(chunk) < sideBySide {
		whole.Write(chunk)
		return digest(chunk)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		whole.Write(chunk)
	}()
	sum := digest(chunk)
	<-done
	return sum
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// interruptible ends a long copy when the context ends.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i interruptible) Read(p []byte) (int, error) {
	if i.ctx.Err() != nil {
		return 0, context.Cause(i.ctx)
	}
	return i.r.Read(p)
}
