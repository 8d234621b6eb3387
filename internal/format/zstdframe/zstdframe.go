// Package zstdframe writes and reads zstd as a row of independent frames (RFC
// 8878, section 3), which lets all cores work on one stream. Every reader of zstd
// reads such a row as one stream; the frames do not depend on how many cores made
// them.
package zstdframe

import (
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"
)

// Options says how to compress.
type Options struct {
	Level zstd.EncoderLevel // 0: zstd.SpeedDefault
	// FrameSize is how many bytes of content go into one frame. Larger ones
	// compress better; each worker holds about three of them.
	FrameSize int
	// Workers is how many frames are compressed at a time; 0: one on each core.
	Workers int
	// Store keeps content that looks compressed already as it is, which is
	// several times as fast as finding out that it does not shrink.
	Store bool
}

// Writer compresses what is written to it. It must be closed.
type Writer struct {
	enc   *zstd.Encoder
	size  int
	store bool
	begun bool // a frame is on its way
	buf   []byte
	queue chan chan []byte // frames in order, each delivered when compressed
	done  chan error       // receives once, when everything was passed on
	broke chan struct{}    // closed when the output failed
	free  chan []byte      // buffers of content to use again
	spent chan []byte      // buffers of frames to use again
}

// NewWriter compresses to w.
func NewWriter(w io.Writer, o Options) (*Writer, error) {
	if o.Level == 0 {
		o.Level = zstd.SpeedDefault
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(o.Level), zstd.WithEncoderConcurrency(o.Workers),
		zstd.WithEncoderCRC(true), zstd.WithZeroFrames(true))
	if err != nil {
		return nil, fmt.Errorf("set up zstd: %w", err)
	}
	z := &Writer{
		enc:   enc,
		size:  o.FrameSize,
		store: o.Store,
		buf:   make([]byte, 0, o.FrameSize),
		queue: make(chan chan []byte, o.Workers),
		done:  make(chan error, 1),
		broke: make(chan struct{}),
		free:  make(chan []byte, o.Workers+2),
		spent: make(chan []byte, o.Workers+2),
	}
	go z.pass(w)
	return z, nil
}

// pass writes the frames in order.
func (z *Writer) pass(w io.Writer) {
	var failed error
	for frame := range z.queue {
		data := <-frame
		if failed != nil {
			continue
		}
		if _, failed = w.Write(data); failed != nil {
			close(z.broke)
		}
		keep(z.spent, data)
	}
	z.done <- failed
}

// Write takes content. An error of the output shows in a later call.
func (z *Writer) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		fits := min(z.size-len(z.buf), len(p))
		z.buf = append(z.buf, p[:fits]...)
		p = p[fits:]
		if len(z.buf) == z.size {
			if err := z.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// ReadFrom takes all that r has, without a copy in between.
func (z *Writer) ReadFrom(r io.Reader) (int64, error) {
	var sum int64
	for {
		n, err := r.Read(z.buf[len(z.buf):z.size])
		z.buf = z.buf[:len(z.buf)+n]
		sum += int64(n)
		if len(z.buf) == z.size {
			if err := z.flush(); err != nil {
				return sum, err
			}
		}
		if err == io.EOF { //nolint:errorlint // readers return it bare
			return sum, nil
		}
		if err != nil {
			return sum, err
		}
	}
}

func (z *Writer) flush() error {
	z.begun = true
	full := z.buf
	z.buf = reuse(z.free, z.size)
	frame := make(chan []byte, 1)
	select {
	case <-z.broke:
		return io.ErrClosedPipe // Close tells the cause
	case z.queue <- frame:
	}
	go func() {
		frame <- z.frame(full)
		keep(z.free, full)
	}()
	return nil
}

// frame makes one frame, or some that together are no larger.
func (z *Writer) frame(content []byte) []byte {
	out := reuse(z.spent, 0)
	if z.store && len(content) > 0 {
		return appendFrames(out, content, z.enc.EncodeAll)
	}
	return z.enc.EncodeAll(content, out)
}

// Close writes what is left and reports the first error of the output. It must
// be called, and once.
func (z *Writer) Close() error {
	var err error
	if len(z.buf) > 0 || !z.begun {
		err = z.flush()
	}
	close(z.queue)
	if cause := <-z.done; cause != nil {
		err = cause
	}
	return err
}

// reuse takes a buffer from a pool, empty, or makes one.
func reuse(pool chan []byte, size int) []byte {
	select {
	case buf := <-pool:
		return buf[:0]
	default:
		return make([]byte, 0, size)
	}
}

// keep gives a buffer back to a pool, unless it is full.
func keep(pool chan []byte, buf []byte) {
	select {
	case pool <- buf:
	default:
	}
}
