package zstdframe

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress"
)

const (
	frameMagic   = 0xFD2FB528
	maxBlock     = 128 << 10 // RFC 8878, section 3.1.1.2.4
	segment      = 256 << 10 // is compressed or not as a whole
	minStored    = 4 << 10   // below, compressing costs nothing
	sampleSize   = 4 << 10
	samples      = 8    // of a segment
	worthwhile   = 1    // more of them than this must have order
	noOrder      = 7.76 // bits of entropy in a byte; chance alone gives 7.955
	blockRaw     = 0
	blockRLE     = 1
	blockPacked  = 2
	blockHead    = 3
	checksumSize = 4
)

// appendFrames appends frames of the content: segments that look compressed are
// stored, the others are not, and neighbours of a kind share a frame.
func appendFrames(out, content []byte, compress func(content, out []byte) []byte) []byte {
	for len(content) > 0 {
		n := min(segment, len(content))
		store := looksCompressed(content[:n])
		for n < len(content) {
			next := min(segment, len(content)-n)
			if looksCompressed(content[n:n+next]) != store {
				break
			}
			n += next
		}
		if store {
			out = appendStored(out, content[:n])
		} else {
			out = compress(content[:n], out)
		}
		content = content[n:]
	}
	return out
}

// looksCompressed tells from samples whether compressing would be in vain: what
// is packed already, or encrypted, has no order to be found.
func looksCompressed(content []byte) bool {
	if len(content) < minStored {
		return false
	}
	step := max(sampleSize, len(content)/samples)
	taken, worth := 0, 0
	for at := 0; at+sampleSize <= len(content); at += step {
		taken++
		if float64(compress.ShannonEntropyBits(content[at:at+sampleSize])) < noOrder*sampleSize {
			worth++
		}
	}
	return worth*samples <= worthwhile*taken
}

// appendStored appends a frame of raw blocks.
func appendStored(out, content []byte) []byte {
	// One segment, four bytes of content size, a checksum.
	out = binary.LittleEndian.AppendUint32(out, frameMagic)
	out = append(out, 0b10_1_00_1_00)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(content)))
	for rest := content; len(rest) > 0; {
		n := min(maxBlock, len(rest))
		head := uint32(n)<<3 | blockRaw<<1
		if n == len(rest) {
			head |= 1 // the last one
		}
		out = append(out, byte(head), byte(head>>8), byte(head>>16))
		out = append(out, rest[:n]...)
		rest = rest[n:]
	}
	return binary.LittleEndian.AppendUint32(out, uint32(xxhash.Sum64(content)))
}
