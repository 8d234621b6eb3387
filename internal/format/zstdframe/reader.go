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

// Reader decompresses a row of frames. It must be closed.
type Reader struct {
	dec   *zstd.Decoder
	max   int
	in    *bufio.Reader
	queue chan chan result
	quit  chan struct{}
	ended sync.WaitGroup
	free  chan []byte // buffers of content to use again
	spent chan []byte // buffers of frames to use again
	frame []byte      // content at hand
	rest  []byte      // what of it was not yet read
	err   error
}

// result is a decompressed frame, or why there is none.
type result struct {
	content []byte
	err     error
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
	z := &Reader{
		dec:   dec,
		max:   o.MaxFrame,
		in:    bufio.NewReaderSize(r, 256<<10),
		queue: make(chan chan result, o.Workers),
		quit:  make(chan struct{}),
		free:  make(chan []byte, o.Workers+2),
		spent: make(chan []byte, o.Workers+2),
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
		packed, err := z.next()
		frame := make(chan result, 1)
		select {
		case <-z.quit:
			return
		case z.queue <- frame:
		}
		if err != nil {
			frame <- result{err: err}
			return
		}
		z.ended.Add(1)
		go func() {
			defer z.ended.Done()
			content, err := z.dec.DecodeAll(packed, reuse(z.free, 0))
			keep(z.spent, packed)
			if err != nil {
				err = fmt.Errorf("zstd: %w", err)
			}
			frame <- result{content, err}
		}()
	}
}

// next reads one whole frame, passing over those without content. The error is
// io.EOF only between frames.
func (z *Reader) next() ([]byte, error) {
	for {
		peek, err := z.in.Peek(zstd.HeaderMaxSize)
		if len(peek) == 0 {
			return nil, err
		}
		var h zstd.Header
		if decodeErr := h.Decode(peek); decodeErr != nil {
			return nil, fmt.Errorf("zstd: %w", decodeErr)
		}
		if h.Skippable {
			if _, err := z.in.Discard(h.HeaderSize + int(h.SkippableSize)); err != nil {
				return nil, noEOF(err)
			}
			continue
		}
		if h.FrameContentSize > uint64(z.max) && h.HasFCS || h.WindowSize > uint64(z.max) && !h.SingleSegment {
			return nil, fmt.Errorf("zstd: a frame of more than %d bytes", z.max)
		}
		return z.blocks(h)
	}
}

// blocks reads a frame to its end, of which only the blocks' heads tell.
func (z *Reader) blocks(h zstd.Header) ([]byte, error) {
	packed, err := z.take(reuse(z.spent, 0), h.HeaderSize)
	for last := false; err == nil && !last; {
		at := len(packed)
		if packed, err = z.take(packed, 3); err != nil {
			break
		}
		head := int(packed[at]) | int(packed[at+1])<<8 | int(packed[at+2])<<16
		last = head&1 != 0
		size := head >> 3
		switch kind := head >> 1 & 3; {
		case kind == blockRLE:
			size = 1
		case kind != blockRaw && kind != blockPacked || size > maxBlock:
			return nil, errors.New("zstd: a block of no known kind or size")
		}
		// Blocks of nothing could go on for ever.
		if len(packed)+size > z.max+z.max/16+4096 {
			return nil, fmt.Errorf("zstd: a frame of more than %d bytes", z.max)
		}
		packed, err = z.take(packed, size)
	}
	if err == nil && h.HasCheckSum {
		packed, err = z.take(packed, checksumSize)
	}
	return packed, noEOF(err)
}

// take appends n bytes of the input.
func (z *Reader) take(buf []byte, n int) ([]byte, error) {
	at := len(buf)
	if cap(buf) < at+n {
		grown := make([]byte, at, max(at+n, min(2*cap(buf), z.max+z.max/16+8192)))
		copy(grown, buf)
		buf = grown
	}
	buf = buf[:at+n]
	_, err := io.ReadFull(z.in, buf[at:])
	return buf, err
}

// Read gives content. A frame is checked before any of it is given.
func (z *Reader) Read(p []byte) (int, error) {
	for len(z.rest) == 0 {
		if z.err != nil {
			return 0, z.err
		}
		if z.frame != nil {
			keep(z.free, z.frame)
			z.frame = nil
		}
		frame, ok := <-z.queue
		if !ok {
			z.err = io.ErrUnexpectedEOF
			continue
		}
		r := <-frame
		z.frame, z.rest, z.err = r.content, r.content, r.err
		if z.err != nil {
			z.rest = nil
		}
	}
	n := copy(p, z.rest)
	z.rest = z.rest[n:]
	return n, nil
}

// Close ends the work; what was not read is lost.
func (z *Reader) Close() error {
	close(z.quit)
	for range z.queue { // until the splitter ends
	}
	z.ended.Wait()
	z.dec.Close()
	return nil
}

// noEOF names the end of the input for what it is inside a frame: too early.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
