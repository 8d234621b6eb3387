package handoff

import (
	"crypto/sha256"
	"encoding/binary"
)

// Content is cut where it says itself, so that what was only moved, or has
// something before it that was not there, is cut at the same places again. The
// numbers weigh the size of manifests (some 100 bytes a chunk) against what is
// found again.
const (
	minChunk = 768 << 10
	maxChunk = 4 << 20
	// cutBits is how many bits of the rolling hash must be zero: behind minChunk, a
	// cut comes after 256 KiB in the mean.
	cutBits = 18
)

// gear has a number for each byte, as in Xia and others, "FastCDC" (USENIX ATC
// 2016), section 3.2: a hash that forgets what lies 64 bytes back.
var gear = func() (table [256]uint64) {
	for i := range table {
		sum := sha256.Sum256([]byte{byte(i)})
		table[i] = binary.LittleEndian.Uint64(sum[:])
	}
	return table
}()

// cut tells where the first chunk of data ends. Without a cut, that is the end of
// data or maxChunk.
func cut(data []byte) (n int, found bool) {
	data = data[:min(len(data), maxChunk)]
	if len(data) <= minChunk {
		return len(data), len(data) == maxChunk
	}
	var hash uint64
	for i, b := range data[minChunk:] {
		if hash = hash<<1 + gear[b]; hash < 1<<(64-cutBits) {
			return minChunk + i + 1, true
		}
	}
	return len(data), len(data) == maxChunk
}

// cuts gives the lengths of the chunks that data begins with, and their sum. What
// is left could be longer with what follows, unless data is the last.
func cuts(data []byte, last bool) (lengths []int, sum int) {
	for sum < len(data) {
		n, found := cut(data[sum:])
		if !found && !last {
			break
		}
		lengths = append(lengths, n)
		sum += n
	}
	return lengths, sum
}
