package ostreerepo

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzParse(f *testing.F) {
	f.Add([]byte("\x00"))                                      // an empty dirtree
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0o101, 0o0355}) // a dirmeta, nearly
	file := append([]byte("name\x00"), make([]byte, 32)...)
	file = frame(file, 5)
	f.Add(frame(frame(file, len(file)), len(file)+1))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = ParseCommit(data)
		_, _ = ParseDirmeta(data)
		tree, err := ParseDirtree(data)
		if err != nil {
			return
		}
		for _, file := range tree.Files {
			require.NotContains(t, file.Name, "/")
		}
	})
}

func FuzzArchiveHeader(f *testing.F) {
	h := Header{UID: 1, GID: 2, Mode: FileMode(0o4755), Size: 3, Xattrs: EncodeXattrs([]Xattr{{"user.a", []byte("b")}})}
	f.Add(withLength(h.encodeArchive()))
	f.Add(withLength((&Header{Mode: LinkMode, Target: "to"}).encodeArchive()))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := readArchiveHeader(bytes.NewReader(data))
		if err != nil {
			return
		}
		again, err := readArchiveHeader(bytes.NewReader(withLength(h.encodeArchive())))
		require.NoError(t, err)
		require.Equal(t, h, again)
	})
}
