package handoff

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

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
	digesters := make(chan *digester, workers()) // each has buffers
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers())
	for _, i := range largestFirst(entries) {
		e := &entries[i]
		g.Go(func() error {
			var d *digester
			select {
			case d = <-digesters:
			default:
				d = newDigester()
			}
			defer func() { digesters <- d }()
			var err error
			if stamps[i], err = d.digest(ctx, root, e); err != nil {
				return fmt.Errorf("read %s: %w", e.Path, err)
			}
			return nil
		})
	}
	return stamps, g.Wait()
}

// largestFirst lists the files so that the cores end at about the same time.
func largestFirst(entries []Entry) []int {
	var list []int
	for i, e := range entries {
		if e.Type == File {
			list = append(list, i)
		}
	}
	slices.SortStableFunc(list, func(a, b int) int { return cmp.Compare(entries[b].Size, entries[a].Size) })
	return list
}

// digester cuts files into chunks, one after another. While it reads and cuts, what
// was read before is digested.
type digester struct {
	bufs    [2][]byte // one is filled, the other one digested
	running sync.WaitGroup
	whole   hash.Hash
	chunks  []Chunk
}

func newDigester() *digester {
	return &digester{bufs: [2][]byte{make([]byte, maxChunk), make([]byte, maxChunk)}, whole: sha256.New()}
}

// digest finds the file's holes, chunks and digest.
func (d *digester) digest(ctx context.Context, root string, e *Entry) (stamp, error) {
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
	defer d.running.Wait()
	d.whole.Reset()
	d.chunks = nil
	for _, x := range e.spans() {
		if err := d.span(ctx, f, x, e.data()); err != nil {
			return stamp{}, err
		}
	}
	d.running.Wait()
	e.SHA256 = hex.EncodeToString(d.whole.Sum(nil))
	e.Chunks = d.chunks
	return was, nil
}

// span cuts a part of a file that has data bytes in all.
func (d *digester) span(ctx context.Context, f *os.File, x Extent, data int64) error {
	var rest []byte // what the next chunk begins with
	for at := x.Offset; at < x.end(); {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		d.bufs[0], d.bufs[1] = d.bufs[1], d.bufs[0]
		buf := d.bufs[0]
		n := copy(buf, rest)
		k := int(min(int64(len(buf)-n), x.end()-at))
		if got, err := f.ReadAt(buf[n:n+k], at); got < k {
			return unlessEnded(err, errChanged)
		}
		at += int64(k)
		buf = buf[:n+k]
		lengths, sum := cuts(buf, at == x.end())
		rest = buf[sum:]
		d.add(buf[:sum], lengths, data)
	}
	return nil
}

// add begins to digest chunks that lie one behind the other. A chunk that is all of
// a file's data is told by the digest of the file.
func (d *digester) add(content []byte, lengths []int, data int64) {
	d.running.Wait()
	if int64(lengths[0]) == data {
		d.whole.Write(content)
		return
	}
	d.running.Go(func() { d.whole.Write(content) })
	d.running.Go(func() {
		at := 0
		for _, n := range lengths {
			d.chunks = append(d.chunks, Chunk{Length: int64(n), SHA256: digest(content[at : at+n])})
			at += n
		}
	})
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
