package handoff

import (
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"

	"github.com/nestos/nosa-actions/internal/format/zstdframe"
)

const (
	// frameSize is how much content goes into one zstd frame, in bytes.
	frameSize = 4 << 20
	// maxWorkers bounds memory on machines of many cores; with so many, disks
	// and the network are what is waited for.
	maxWorkers = 6
)

// workers is how many things are done at a time.
func workers() int { return min(maxWorkers, runtime.GOMAXPROCS(0)) }

// newFrameWriter compresses a pack on all cores. What is compressed already, as
// packages and container layers are, is stored as it is.
func newFrameWriter(w io.Writer) (*zstdframe.Writer, error) {
	return zstdframe.NewWriter(w, zstdframe.Options{
		Level: zstd.SpeedDefault, FrameSize: frameSize, Workers: workers(), Store: true,
	})
}

// newFrameReader undoes newFrameWriter in bounded memory. The caller closes it.
func newFrameReader(r io.Reader) (*zstdframe.Reader, error) {
	return zstdframe.NewReader(r, zstdframe.ReaderOptions{MaxFrame: frameSize, Workers: workers()})
}
