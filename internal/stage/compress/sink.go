package compress

import (
	"bytes"
	"encoding/hex"
	"hash"
	"os"
)

// sink writes a new file, leaves holes for zeros, and takes the checksum.
type sink struct {
	f      *os.File
	sum    hash.Hash
	size   int64
	failed bool
}

// holeSize is the least run of zeros that becomes a hole, in bytes: a block of
// the usual file systems.
const holeSize = 4 << 10

var zeros [holeSize]byte

func (s *sink) Write(p []byte) (int, error) {
	s.sum.Write(p)
	for done := 0; done < len(p); {
		n, hole := s.run(p[done:])
		if !hole {
			if _, err := s.f.WriteAt(p[done:done+n], s.size); err != nil {
				s.failed = true
				return done, err
			}
		}
		s.size += int64(n)
		done += n
	}
	return len(p), nil
}

// run is how much of p, which belongs at the end of the file, is alike: a block
// of zeros, or all up to the next one. Blocks are those of the file.
func (s *sink) run(p []byte) (n int, hole bool) {
	for n < len(p) {
		block := min(len(p)-n, holeSize-int((s.size+int64(n))%holeSize))
		if block == holeSize && bytes.Equal(p[n:n+block], zeros[:]) {
			if n == 0 {
				return block, true
			}
			break
		}
		n += block
	}
	return n, false
}

// finish gives the file its size, as it may end in a hole.
func (s *sink) finish() error {
	if err := s.f.Truncate(s.size); err != nil {
		return err
	}
	return s.f.Close()
}

func (s *sink) hex() string { return hex.EncodeToString(s.sum.Sum(nil)) }
