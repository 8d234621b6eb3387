// Package zstdframe writes zstd as a row of independent frames (RFC 8878,
// section 3), which lets all cores compress one stream. Every reader of zstd
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
	// compress better; each core holds about three of them.
	FrameSize int
}

// Writer compresses what is written to it. It must be closed.
type Writer struct {
	enc   *zstd.Encoder
	size  int
	begun bool // a frame is on its way
	buf   []byte
	queue chan chan []byte // frames in order, each delivered when compressed
	done  chan error       // receives once, when everything was passed on
	broke chan struct{}    // closed when the output failed
	free  chan []byte
}

// NewWriter compresses to w.
func NewWriter(w io.Writer, o Options) (*Writer, error) {
	if o.Level == 0 {
		o.Level = zstd.SpeedDefault
	}
	workers := runtime.GOMAXPROCS(0)
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(o.Level), zstd.WithEncoderConcurrency(workers),
		zstd.WithEncoderCRC(true), zstd.WithZeroFrames(true))
	if err != nil {
		return nil, fmt.Errorf("set up zstd: %w", err)
	}
	z := &Writer{
		enc:   enc,
		size:  o.FrameSize,
		buf:   make([]byte, 0, o.FrameSize),
		queue: make(chan chan []byte, workers),
		done:  make(chan error, 1),
		broke: make(chan struct{}),
		free:  make(chan []byte, workers+2),
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

func (z *Writer) flush() error {
	z.begun = true
	full := z.buf
	select {
	case z.buf = <-z.free:
	default:
		z.buf = make([]byte, 0, z.size)
	}
	frame := make(chan []byte, 1)
	select {
	case <-z.broke:
		return io.ErrClosedPipe // Close tells the cause
	case z.queue <- frame:
	}
	go func() {
		frame <- z.enc.EncodeAll(full, nil)
		select {
		case z.free <- full[:0]:
		default:
		}
	}()
	return nil
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
