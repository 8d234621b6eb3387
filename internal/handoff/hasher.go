package handoff

import (
	"crypto/sha256"
	"encoding/hex"
)

const (
	hashBuffer  = 512 << 10
	hashBuffers = 4
)

// hasher digests one file after another while the same bytes are written. A
// buffer comes back when it is digested; by then the one who took it, and who is
// alone, has written it.
type hasher struct {
	free chan []byte
	work chan job
	sum  chan string
}

type job struct {
	buf []byte
	n   int // -1: the file ends here
}

func newHasher() *hasher {
	h := &hasher{free: make(chan []byte, hashBuffers), work: make(chan job, hashBuffers), sum: make(chan string)}
	for range hashBuffers {
		h.free <- make([]byte, hashBuffer)
	}
	go h.run()
	return h
}

func (h *hasher) run() {
	sum := sha256.New()
	for j := range h.work {
		if j.n < 0 {
			h.sum <- hex.EncodeToString(sum.Sum(nil))
			sum.Reset()
			continue
		}
		sum.Write(j.buf[:j.n])
		h.free <- j.buf
	}
}

// buffer gives a buffer to fill, which must go to add.
func (h *hasher) buffer() []byte { return <-h.free }

// add digests the first n bytes of a buffer.
func (h *hasher) add(buf []byte, n int) { h.work <- job{buf, n} }

// end gives the digest of what was added since the last end.
func (h *hasher) end() string {
	h.work <- job{n: -1}
	return <-h.sum
}

func (h *hasher) Close() { close(h.work) }
