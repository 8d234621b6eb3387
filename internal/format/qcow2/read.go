package qcow2

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	offsetMask = 0x00fffffffffffe00 // host offset in an entry of either table
	compressed = 1 << 62
	readsZero  = 1 << 0

	cachedTables   = 64
	cachedClusters = 64 // uncompressed
)

// Image is an open image. Its methods may be called at the same time.
type Image struct {
	Header
	file io.ReaderAt
	l1   []uint64

	mu       sync.Mutex
	tables   map[int64][]byte // level 2, by place in the file
	clusters map[uint64][]byte
}

// ReadAt reads from the disk that the image holds.
func (img *Image) ReadAt(p []byte, at int64) (n int, err error) {
	if at < 0 {
		return 0, errors.New("negative offset")
	}
	for n < len(p) {
		if at >= img.Size {
			return n, io.EOF
		}
		inside := at & (img.ClusterSize - 1)
		piece := p[n:]
		piece = piece[:min(int64(len(piece)), img.ClusterSize-inside, img.Size-at)]
		if err := img.readCluster(piece, at, inside); err != nil {
			return n, fmt.Errorf("disk at byte %d: %w", at, err)
		}
		n += len(piece)
		at += int64(len(piece))
	}
	return n, nil
}

// readCluster reads from inside one cluster.
func (img *Image) readCluster(p []byte, at, inside int64) error {
	entry, bitmap, err := img.entry(at)
	if err != nil {
		return err
	}
	switch {
	case entry&compressed != 0:
		cluster, err := img.uncompress(entry &^ (compressed | 1<<63))
		if err != nil {
			return err
		}
		copy(p, cluster[inside:])
		return nil
	case img.extendedL2:
		return img.readSubclusters(p, int64(entry&offsetMask), bitmap, inside)
	case entry&offsetMask == 0 || entry&readsZero != 0:
		clear(p)
		return nil
	}
	return readFull(img.file, p, int64(entry&offsetMask)+inside)
}

// readSubclusters reads a cluster of which each 32nd part is there or not.
func (img *Image) readSubclusters(p []byte, host int64, bitmap uint64, inside int64) error {
	sub := img.ClusterSize / 32
	for len(p) > 0 {
		i := inside / sub
		piece := p[:min(int64(len(p)), (i+1)*sub-inside)]
		if bitmap&(1<<uint(i)) != 0 {
			if err := readFull(img.file, piece, host+inside); err != nil {
				return err
			}
		} else {
			clear(piece)
		}
		inside += int64(len(piece))
		p = p[len(piece):]
	}
	return nil
}

// entry finds what the tables say of a byte of the disk.
func (img *Image) entry(at int64) (entry, bitmap uint64, err error) {
	first := img.l1[at/img.span()] & offsetMask
	if first == 0 {
		return 0, 0, nil
	}
	table, err := img.table(int64(first))
	if err != nil {
		return 0, 0, err
	}
	i := at % img.span() / img.ClusterSize * img.entrySize()
	entry = binary.BigEndian.Uint64(table[i:])
	if img.extendedL2 {
		bitmap = binary.BigEndian.Uint64(table[i+8:])
	}
	return entry, bitmap, nil
}

func (img *Image) table(at int64) ([]byte, error) {
	img.mu.Lock()
	defer img.mu.Unlock()
	if table := img.tables[at]; table != nil {
		return table, nil
	}
	table := make([]byte, img.ClusterSize)
	if err := readFull(img.file, table, at); err != nil {
		return nil, fmt.Errorf("second table: %w", err)
	}
	if img.tables == nil || len(img.tables) >= cachedTables {
		img.tables = map[int64][]byte{}
	}
	img.tables[at] = table
	return table, nil
}

// uncompress gives a whole cluster, from where a descriptor says that it is.
func (img *Image) uncompress(descriptor uint64) ([]byte, error) {
	img.mu.Lock()
	cluster := img.clusters[descriptor]
	img.mu.Unlock()
	if cluster != nil {
		return cluster, nil
	}
	shift := 62 - (img.bits - 8)
	host := int64(descriptor & (1<<shift - 1))
	length := int64(descriptor>>shift+1)*512 - host&511
	packed := make([]byte, length)
	// The last sector may end with the file.
	n, err := img.file.ReadAt(packed, host)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	cluster = make([]byte, img.ClusterSize)
	if err := img.inflate(cluster, packed[:n]); err != nil {
		return nil, fmt.Errorf("%w: compressed cluster at byte %d of the file: %w", ErrBad, host, err)
	}
	img.mu.Lock()
	defer img.mu.Unlock()
	if img.clusters == nil || len(img.clusters) >= cachedClusters {
		img.clusters = map[uint64][]byte{}
	}
	img.clusters[descriptor] = cluster
	return cluster, nil
}

// inflate fills a cluster; what follows the compressed data is of no interest.
func (img *Image) inflate(cluster, packed []byte) error {
	if img.Compression == "zlib" {
		_, err := io.ReadFull(flate.NewReader(bytes.NewReader(packed)), cluster)
		return err
	}
	in, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.ReadFull(in, cluster)
	return err
}
