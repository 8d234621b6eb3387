package workdir

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/sparsefile"
)

// DescribeImage computes the record of an artifact from its file.
func DescribeImage(path string) (Image, error) {
	return DescribeRest(path, sha256.New(), 0)
}

// DescribeRest does the same where the first bytes of the file have gone into sum, a
// SHA-256, already.
func DescribeRest(path string, sum hash.Hash, begun int64) (Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return Image{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Image{}, err
	}
	if err := sparsefile.Read(sum, f, begun, info.Size()); err != nil {
		return Image{}, err
	}
	return Image{Path: filepath.Base(path), SHA256: hex.EncodeToString(sum.Sum(nil)), Size: info.Size()}, nil
}
