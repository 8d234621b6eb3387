package zstdframe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"
)

// frame is one on its way from the input to those who use its content. Its
// buffers are used again for another one, when nobody does.
type frame struct {
	packed []byte       // as it came
	header zstd.Header  // of it
	blocks [][]byte     // of packed, if it has none but stored ones
	room   []byte       // for what is decompressed
	parts  [][]byte     // the content that was not yet given
	users  atomic.Int32 // the Reader and those to whom it lent something
	home   chan<- *frame
	ready  chan struct{} // receives when parts or err are there
	err    error
}

func (f *frame) release() {
	if f.users.Add(-1) == 0 {
		f.home <- f // has room for all
	}
}

// clear gives back the memory of a frame that nobody uses.
func (f *frame) clear() {
	leave(f.packed)
	leave(f.room)
	f.packed, f.room, f.blocks, f.parts = nil, nil, nil, nil
}

// next reads one whole frame, passing over those without content. The error is
// io.EOF only between frames.
func (z *Reader) next(f *frame) error {
	for {
		peek, err := z.in.Peek(zstd.HeaderMaxSize)
		if len(peek) == 0 {
			return err
		}
		h := &f.header
		if decodeErr := h.Decode(peek); decodeErr != nil {
			return fmt.Errorf("zstd: %w", decodeErr)
		}
		if h.Skippable {
			if _, err := z.in.Discard(h.HeaderSize + int(h.SkippableSize)); err != nil {
				return noEOF(err)
			}
			continue
		}
		if h.FrameContentSize > uint64(z.max) && h.HasFCS || h.WindowSize > uint64(z.max) && !h.SingleSegment {
			return fmt.Errorf("zstd: a frame of more than %d bytes", z.max)
		}
		return noEOF(z.fill(f))
	}
}

// fill reads a frame to its end, of which only the blocks' heads tell.
func (z *Reader) fill(f *frame) error {
	if f.packed == nil {
		f.packed = room(z.limit())
	}
	f.packed, f.blocks = f.packed[:0], f.blocks[:0]
	if _, err := z.take(f, f.header.HeaderSize); err != nil {
		return err
	}
	stored := f.header.SingleSegment && f.header.HasFCS && f.header.HasCheckSum && f.header.DictionaryID == 0
	for last := false; !last; {
		head, body, err := z.block(f)
		if err != nil {
			return err
		}
		last = head&1 != 0
		// Of stored frames by other programs, the decoder takes care.
		if stored = stored && head>>1&3 == blockRaw && len(f.blocks) <= z.max/maxBlock; stored {
			f.blocks = append(f.blocks, body)
		}
	}
	if !stored {
		f.blocks = f.blocks[:0]
	}
	if f.header.HasCheckSum {
		_, err := z.take(f, checksumSize)
		return err
	}
	return nil
}

// block reads the next block.
func (z *Reader) block(f *frame) (head int, body []byte, err error) {
	b, err := z.take(f, blockHead)
	if err != nil {
		return 0, nil, err
	}
	head = int(b[0]) | int(b[1])<<8 | int(b[2])<<16
	size := head >> 3
	switch kind := head >> 1 & 3; {
	case kind == blockRLE:
		size = 1
	case kind != blockRaw && kind != blockPacked || size > maxBlock:
		return 0, nil, errors.New("zstd: a block of no known kind or size")
	}
	body, err = z.take(f, size)
	return head, body, err
}

// limit is the most that a frame may have in bytes when packed, so that blocks of
// nothing do not go on for ever.
func (z *Reader) limit() int { return z.max + z.max/16 + 4096 }

// take reads the next n bytes of the frame.
func (z *Reader) take(f *frame, n int) ([]byte, error) {
	at := len(f.packed)
	if at+n > z.limit() {
		return nil, fmt.Errorf("zstd: a frame of more than %d bytes", z.max)
	}
	f.packed = f.packed[:at+n]
	_, err := io.ReadFull(z.in, f.packed[at:])
	return f.packed[at:], err
}

// open finds the content and checks it.
func (f *frame) open(dec *zstd.Decoder, limit int) {
	if len(f.blocks) > 0 {
		f.parts, f.err = f.blocks, f.check()
		return
	}
	if f.room == nil {
		f.room = room(limit + maxBlock + 64) // with what the decoder wants behind for its fastest way
	}
	content, err := dec.DecodeAll(f.packed, f.room[:0])
	if err != nil {
		f.err = fmt.Errorf("zstd: %w", err)
	}
	f.parts = [][]byte{content}
}

// check holds the stored blocks against the frame's own size and checksum.
func (f *frame) check() error {
	sum, size := xxhash.New(), uint64(0)
	for _, b := range f.blocks {
		sum.Write(b)
		size += uint64(len(b))
	}
	switch {
	case size != f.header.FrameContentSize:
		return fmt.Errorf("zstd: %w", zstd.ErrFrameSizeMismatch)
	case uint32(sum.Sum64()) != binary.LittleEndian.Uint32(f.packed[len(f.packed)-checksumSize:]):
		return fmt.Errorf("zstd: %w", zstd.ErrCRCMismatch)
	}
	return nil
}
