package handoff

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func randomBytes(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// Were content cut elsewhere, the packs of the run before would be of no use.
func TestContentIsCutWhereItAlwaysWas(t *testing.T) {
	lengths, _ := cuts(randomBytes(1, 10<<20), true)
	require.Equal(t, []int{1419425, 889188, 1127905, 991776, 1873733, 1004836, 1335642, 1111011, 732244}, lengths)
	lengths, _ = cuts(make([]byte, 10<<20), true)
	require.Equal(t, []int{maxChunk, maxChunk, 2 << 20}, lengths, "nothing says where to cut")
	lengths, _ = cuts(make([]byte, minChunk), true)
	require.Equal(t, []int{minChunk}, lengths)
}

func TestChunksAreFoundAgainAfterAnInsertion(t *testing.T) {
	before := randomBytes(2, 40<<20)
	after := bytes.Join([][]byte{before[:9<<20], []byte("something else"), before[9<<20:]}, nil)
	had := map[string]bool{}
	for _, chunk := range chunksOf(before) {
		had[string(chunk)] = true
	}
	fresh := 0
	for _, chunk := range chunksOf(after) {
		if !had[string(chunk)] {
			fresh += len(chunk)
		}
	}
	require.Less(t, fresh, 8<<20)
}

func chunksOf(data []byte) (list [][]byte) {
	lengths, _ := cuts(data, true)
	for _, n := range lengths {
		list = append(list, data[:n])
		data = data[n:]
	}
	return list
}

// What comes in pieces is cut as what comes at once.
func TestALargeFileIsCutAsAWhole(t *testing.T) {
	data := randomBytes(3, 21<<20)
	whole, _ := cuts(data, true)
	var got []int
	for at := 0; at < len(data); {
		end := min(at+maxChunk, len(data))
		lengths, sum := cuts(data[at:end], end == len(data))
		require.Positive(t, sum)
		got = append(got, lengths...)
		at += sum
	}
	require.Equal(t, whole, got)
}
