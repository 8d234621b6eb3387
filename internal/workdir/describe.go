package workdir

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
)

// DescribeImage computes the record of an artifact from its file.
func DescribeImage(path string) (Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return Image{}, err
	}
	defer f.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	if err != nil {
		return Image{}, err
	}
	return Image{Path: filepath.Base(path), SHA256: hex.EncodeToString(sum.Sum(nil)), Size: size}, nil
}
