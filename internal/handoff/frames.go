package handoff

import (
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"

	"github.com/nestos/nosa-actions/internal/format/zstdframe"
)

// frameSize is how much content goes into one zstd frame, in bytes.
const frameSize = 4 << 20

// newFrameWriter compresses a pack on all cores.
func newFrameWriter(w io.Writer) (*zstdframe.Writer, error) {
	return zstdframe.NewWriter(w, zstdframe.Options{FrameSize: frameSize})
}

// newFrameReader undoes newFrameWriter in bounded memory. The caller closes it.
func newFrameReader(r io.Reader) (*zstd.Decoder, error) {
	return zstd.NewReader(r,
		zstd.WithDecoderMaxWindow(32<<20),
		zstd.WithDecoderMaxMemory(64<<20),
		zstd.WithDecoderConcurrency(min(2, runtime.GOMAXPROCS(0))),
	)
}
