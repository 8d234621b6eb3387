package zstdframe

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// ReaderOptions bound what a Reader holds in memory.
type ReaderOptions struct {
	MaxFrame int // bytes of content in one frame; a larger one is an error
	Workers  int // frames that are decompressed at a time; 0: one on each core
}

const (
	// underway is how many frames there are beside those being decompressed: one is
	// at hand, and one with borrowers. More would only fall out of the caches.
	underway = 2
	// inputBuffer is for the heads of frames and blocks; blocks pass it by.
	inputBuffer = 4 << 10
)

// Reader decompresses a row of frames. It must be closed.
type Reader struct {
	dec   *zstd.Decoder
	max   int
	in    *bufio.Reader
	free  chan *frame // those that nobody uses; there are no others to be had
	queue chan *frame // in order
	quit  chan struct{}
	close sync.Once
	ended sync.WaitGroup
	frame *frame // the one at hand
	rest  []byte // what of its part at hand was not yet read
	err   error
}

// NewReader decompresses r.
func NewReader(r io.Reader, o ReaderOptions) (*Reader, error) {
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(o.Workers),
		zstd.WithDecoderMaxMemory(uint64(o.MaxFrame)), zstd.WithDecoderMaxWindow(max(uint64(o.MaxFrame), zstd.MinWindowSize)))
	if err != nil {
		return nil, fmt.Errorf("set up zstd: %w", err)
	}
	frames := o.Workers + underway
	z := &Reader{
		dec:   dec,
		max:   o.MaxFrame,
		in:    bufio.NewReaderSize(r, inputBuffer),
		free:  make(chan *frame, frames),
		queue: make(chan *frame, frames),
		quit:  make(chan struct{}),
	}
	for range frames {
		z.free <- &frame{home: z.free, ready: make(chan struct{}, 1)}
	}
	z.ended.Add(1)
	go z.split()
	return z, nil
}

// split hands out the frames to be decompressed, in order, until one is broken.
func (z *Reader) split() {
	defer z.ended.Done()
	defer close(z.queue)
	for {
		var f *frame
		select {
		case <-z.quit:
			return
		case f = <-z.free:
		}
		f.err = z.next(f)
		f.users.Store(1)
		z.queue <- f // has room for all
		if f.err != nil {
			f.ready <- struct{}{}
			return
		}
		z.ended.Add(1)
		go func() {
			defer z.ended.Done()
			f.open(z.dec, z.max)
			f.ready <- struct{}{}
		}()
	}
}

// Read gives content. A frame is checked before any of it is given.
func (z *Reader) Read(p []byte) (int, error) {
	if err := z.more(); err != nil {
		return 0, err
	}
	n := copy(p, z.rest)
	z.rest = z.rest[n:]
	return n, nil
}

// Lend gives the next content, at least one byte of it and at most n, without a
// copy. It stays as it is until giveBack is called, once and from any goroutine.
// One who keeps all that was lent while waiting for more waits for ever.
func (z *Reader) Lend(n int64) (content []byte, giveBack func(), err error) {
	if err := z.more(); err != nil {
		return nil, nil, err
	}
	k := int(min(n, int64(len(z.rest))))
	content, z.rest = z.rest[:k:k], z.rest[k:]
	z.frame.users.Add(1)
	return content, z.frame.release, nil
}

// more sees to it that there is something to give.
func (z *Reader) more() error {
	for len(z.rest) == 0 {
		switch {
		case z.err != nil:
			return z.err
		case z.frame != nil && len(z.frame.parts) > 0:
			z.rest, z.frame.parts = z.frame.parts[0], z.frame.parts[1:]
		default:
			z.turn()
		}
	}
	return nil
}

// turn takes the next frame.
func (z *Reader) turn() {
	if z.frame != nil {
		z.frame.release()
		z.frame = nil
	}
	f, ok := <-z.queue
	if !ok {
		z.err = io.ErrUnexpectedEOF
		return
	}
	<-f.ready
	if z.err = f.err; z.err == nil {
		z.frame = f
	}
}

// Close ends the work; what was not read is lost. What was lent stays as it is.
func (z *Reader) Close() error {
	z.close.Do(func() {
		close(z.quit)
		z.ended.Wait()
		z.dec.Close()
		if z.frame != nil {
			z.frame.release()
		}
		z.rest, z.frame, z.err = nil, nil, errors.New("zstd: read after close")
		for f := range z.queue {
			f.release()
		}
		for n := len(z.free); n > 0; n-- {
			(<-z.free).clear()
		}
	})
	return nil
}

// noEOF names the end of the input for what it is inside a frame: too early.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
