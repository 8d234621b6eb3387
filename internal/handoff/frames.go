package handoff

import (
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"
)

// frameSize is how much content goes into one zstd frame. Frames are
// independent, which is what lets all cores compress; zstd and tar read a row
// of frames as one stream.
const frameSize = 4 << 20

// frameWriter compresses what is written to it on all cores. It holds at most a
// few frames per core in memory.
type frameWriter struct {
	enc   *zstd.Encoder
	buf   []byte
	queue chan chan []byte // frames in order, each delivered when compressed
	done  chan error       // receives once, when everything was passed on
	broke chan struct{}    // closed when the output failed
	free  chan []byte
}

func newFrameWriter(w io.Writer) (*frameWriter, error) {
	workers := runtime.GOMAXPROCS(0)
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(workers), zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, fmt.Errorf("set up zstd: %w", err)
	}
	f := &frameWriter{
		enc:   enc,
		buf:   make([]byte, 0, frameSize),
		queue: make(chan chan []byte, workers),
		done:  make(chan error, 1),
		broke: make(chan struct{}),
		free:  make(chan []byte, workers+2),
	}
	go f.pass(w)
	return f, nil
}

// pass writes the frames in order.
func (f *frameWriter) pass(w io.Writer) {
	var failed error
	for frame := range f.queue {
		data := <-frame
		if failed != nil {
			continue
		}
		if _, failed = w.Write(data); failed != nil {
			close(f.broke)
		}
	}
	f.done <- failed
}

func (f *frameWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		fits := min(frameSize-len(f.buf), len(p))
		f.buf = append(f.buf, p[:fits]...)
		p = p[fits:]
		if len(f.buf) == frameSize {
			if err := f.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (f *frameWriter) flush() error {
	full := f.buf
	select {
	case f.buf = <-f.free:
	default:
		f.buf = make([]byte, 0, frameSize)
	}
	frame := make(chan []byte, 1)
	select {
	case <-f.broke:
		return io.ErrClosedPipe // Close tells the cause
	case f.queue <- frame:
	}
	go func() {
		frame <- f.enc.EncodeAll(full, nil)
		select {
		case f.free <- full[:0]:
		default:
		}
	}()
	return nil
}

// Close writes what is left and reports the first error of the output. It must
// be called, and once.
func (f *frameWriter) Close() error {
	var err error
	if len(f.buf) > 0 {
		err = f.flush()
	}
	close(f.queue)
	if cause := <-f.done; cause != nil {
		err = cause
	}
	return err
}

// newFrameReader undoes frameWriter in bounded memory. The caller closes it.
func newFrameReader(r io.Reader) (*zstd.Decoder, error) {
	return zstd.NewReader(r,
		zstd.WithDecoderMaxWindow(32<<20),
		zstd.WithDecoderMaxMemory(64<<20),
		zstd.WithDecoderConcurrency(min(2, runtime.GOMAXPROCS(0))),
	)
}
