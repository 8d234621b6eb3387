package live

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// streamBlock is how much of a stream one line of its hash covers, in bytes.
const streamBlock = 2 << 20

// streamHash lists the digests of the blocks of a stream, so that a reader can
// trust each block as soon as it has it.
type streamHash struct {
	lines strings.Builder
	block hash.Hash
	held  int // bytes of the block so far
}

func newStreamHash() *streamHash {
	h := &streamHash{block: sha256.New()}
	fmt.Fprintf(&h.lines, "stream-hash sha256 %d\n", streamBlock)
	return h
}

// Write implements io.Writer.
func (h *streamHash) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), streamBlock-h.held)
		h.block.Write(rest[:n])
		rest = rest[n:]
		if h.held += n; h.held == streamBlock {
			h.flush()
		}
	}
	return len(p), nil
}

func (h *streamHash) flush() {
	fmt.Fprintln(&h.lines, hex.EncodeToString(h.block.Sum(nil)))
	h.block.Reset()
	h.held = 0
}

// list is the whole list; nothing is written any more.
func (h *streamHash) list() string {
	if h.held > 0 {
		h.flush()
	}
	return h.lines.String()
}
