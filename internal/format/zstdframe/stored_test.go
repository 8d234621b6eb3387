package zstdframe

import (
	"bytes"
	"compress/gzip"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatIsCompressedIsNotCompressedAgain(t *testing.T) {
	random := make([]byte, 4<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(random)
	var text, packed bytes.Buffer
	for i := range 1 << 19 {
		text.WriteString(strconv.Itoa(i * i))
	}
	z := gzip.NewWriter(&packed)
	_, err := z.Write(text.Bytes())
	require.NoError(t, err)
	require.NoError(t, z.Close())
	half := append(bytes.Clone(random[:2<<20]), text.Bytes()[:2<<20]...)

	require.True(t, looksCompressed(random))
	require.True(t, looksCompressed(packed.Bytes()))
	require.False(t, looksCompressed(text.Bytes()))
	require.False(t, looksCompressed(half))
	mixed := appendFrames(nil, half, func(content, out []byte) []byte {
		require.Equal(t, text.Bytes()[:2<<20], content)
		return append(out, "compressed"...)
	})
	require.Len(t, mixed, 2<<20+13+3*(2<<20)/maxBlock+len("compressed"))
	require.False(t, looksCompressed(make([]byte, 4<<20)))
	require.False(t, looksCompressed(random[:100]), "not worth a look")
	require.Len(t, appendStored(nil, random), len(random)+13+3*len(random)/maxBlock)
}
