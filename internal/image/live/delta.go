package live

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A delta makes one disk image of another, which it differs little from: metal4k
// of metal, since both have the same root file system at the same place. It is a
// list of places, and what stands there, one after the other.

// deltaBlock is the unit of a delta in bytes, and headBlocks the number of them
// in the first MiB, which the installer writes last and apart: no place of a delta
// lies on both sides of its end.
const (
	deltaBlock = 64 << 10
	headBlocks = (1 << 20) / deltaBlock
)

// place is a run of blocks, counted from the begin of the disk.
type place struct{ at, count int64 }

// delta tells where image differs from base.
type delta struct {
	places []place
	blocks int64 // in all places
}

// difference compares two images of one size, which is a multiple of the block.
func difference(base, image *os.File, size int64) (delta, error) {
	var p delta
	old, now := make([]byte, deltaBlock), make([]byte, deltaBlock)
	for at := int64(0); ; at++ {
		begin, err := nextData(at*deltaBlock, base, image)
		if err != nil || begin >= size {
			return p, err
		}
		at = begin / deltaBlock
		if _, err := base.ReadAt(old, at*deltaBlock); err != nil {
			return p, err
		}
		if _, err := image.ReadAt(now, at*deltaBlock); err != nil {
			return p, err
		}
		if !bytes.Equal(old, now) {
			p.add(at)
		}
	}
}

func (p *delta) add(at int64) {
	p.blocks++
	if last := len(p.places) - 1; last >= 0 && at != headBlocks && p.places[last].at+p.places[last].count == at {
		p.places[last].count++
		return
	}
	p.places = append(p.places, place{at, 1})
}

// nextData finds where, from an offset on, the first of the files has data; all
// before is holes. Without any it is the end of all offsets.
func nextData(from int64, files ...*os.File) (int64, error) {
	first := int64(1<<63 - 1)
	for _, f := range files {
		at, err := f.Seek(from, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			continue
		}
		if err != nil {
			return 0, err
		}
		first = min(first, at)
	}
	return first, nil
}

// write writes what stands at the places, and returns its digest.
func (p delta) write(w io.Writer, image io.ReaderAt) (string, error) {
	sum := sha256.New()
	both := io.MultiWriter(w, sum)
	for _, place := range p.places {
		if _, err := io.Copy(both, io.NewSectionReader(image, place.at*deltaBlock, place.count*deltaBlock)); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// list is the delta as the installer reads it: the digest of its content, then a
// line "BLOCK COUNT" for each place.
func (p delta) list(digest string) string {
	var lines strings.Builder
	fmt.Fprintln(&lines, digest)
	for _, place := range p.places {
		fmt.Fprintln(&lines, place.at, place.count)
	}
	return lines.String()
}
