package live

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// object is a file with content that the live system has.
type object struct {
	name string // "00/11...ff.file"
	size int64
}

// blockOf is a block of an object, by its number.
type blockOf struct {
	*object
	block int64
}

// objects finds objects by blocks of their content.
type objects struct {
	dir    string
	seed   maphash.Seed
	byHead map[uint64][]*object // by the first block, the largest first
	within map[uint64][]blockOf // by any block, of large objects
}

const (
	// fromWithin is the size from which an object may stand in an image in parts,
	// and fromPart that of a part, in bytes: less is not worth a cut.
	fromWithin = 64 << 10
	fromPart   = 32 << 10
	// alike bounds how many blocks of the same content are looked at.
	alike = 4
)

// indexObjects reads the content objects of a bare repository.
func indexObjects(repo string) (*objects, error) {
	o := &objects{
		dir: filepath.Join(repo, "objects"), seed: maphash.MakeSeed(),
		byHead: map[uint64][]*object{}, within: map[uint64][]blockOf{},
	}
	var all []*object
	err := filepath.WalkDir(o.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || !strings.HasSuffix(path, ".file") {
			return err
		}
		info, err := e.Info()
		if err != nil || info.Size() == 0 {
			return err
		}
		name, err := filepath.Rel(o.dir, path)
		all = append(all, &object{name, info.Size()})
		return err
	})
	if err != nil {
		return nil, err
	}
	// One has the same list for the same objects: the larger goes first.
	slices.SortFunc(all, func(a, b *object) int { return cmp.Or(cmp.Compare(b.size, a.size), strings.Compare(a.name, b.name)) })
	sums := make([][]uint64, len(all))
	var group errgroup.Group
	group.SetLimit(2)
	for i, object := range all {
		group.Go(func() (err error) {
			sums[i], err = o.sums(object)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	zeros := o.sum(zeroBlock[:])
	for i, object := range all {
		o.byHead[sums[i][0]] = append(o.byHead[sums[i][0]], object)
		for block, sum := range sums[i] {
			if object.size >= fromWithin && sum != zeros && len(o.within[sum]) < alike {
				o.within[sum] = append(o.within[sum], blockOf{object, int64(block)})
			}
		}
	}
	return o, nil
}

func (o *objects) sum(block []byte) uint64 { return maphash.Bytes(o.seed, block) }

// sums are those of an object's blocks, or of the first if the object is small.
func (o *objects) sums(object *object) (sums []uint64, err error) {
	f, err := o.open(object)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	want := blocksOf(object.size)
	if object.size < fromWithin {
		want = 1
	}
	buffer := make([]byte, min(want*pieceBlock, 256<<10))
	for int64(len(sums)) < want {
		n, err := io.ReadFull(f, buffer)
		if err != nil && err != io.ErrUnexpectedEOF || n == 0 {
			return nil, cmp.Or(err, io.ErrUnexpectedEOF)
		}
		clear(buffer[n:])
		for at := 0; at < n; at += pieceBlock {
			sums = append(sums, o.sum(buffer[at:][:pieceBlock]))
		}
	}
	return sums, nil
}

func (o *objects) open(object *object) (*os.File, error) {
	return os.Open(filepath.Join(o.dir, object.name))
}

// whole finds an object whose content stands at an offset of the image, with zeros
// behind it to the end of its last block. block is what stands there.
func (o *objects) whole(image io.ReaderAt, at, size int64, block []byte) (*object, error) {
	for _, candidate := range o.byHead[o.sum(block)] {
		blocks := blocksOf(candidate.size)
		if at+blocks*pieceBlock > size {
			continue
		}
		same, err := o.same(blockOf{candidate, 0}, image, at, at+blocks*pieceBlock)
		if err != nil || same == blocks {
			return candidate, err
		}
	}
	return nil, nil
}

// part finds the longest part of an object that stands at an offset of the image,
// and its number of blocks; nothing if it is short.
func (o *objects) part(image io.ReaderAt, at, size int64, block []byte) (longest blockOf, count int64, err error) {
	for _, candidate := range o.within[o.sum(block)] {
		end := min(size, at+(blocksOf(candidate.size)-candidate.block)*pieceBlock)
		same, err := o.same(candidate, image, at, end)
		if err != nil {
			return longest, 0, err
		}
		if same > count {
			longest, count = candidate, same
		}
	}
	if count*pieceBlock < fromPart {
		return blockOf{}, 0, nil
	}
	return longest, count, nil
}

// same counts the blocks of the image, between two offsets, that are those of an
// object from one on.
func (o *objects) same(from blockOf, image io.ReaderAt, at, end int64) (count int64, err error) {
	f, err := o.open(from.object)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if _, err := f.Seek(from.block*pieceBlock, io.SeekStart); err != nil {
		return 0, err
	}
	ours, theirs := make([]byte, min(end-at, 64<<10)), make([]byte, min(end-at, 64<<10))
	for at < end {
		ours, theirs = ours[:min(end-at, int64(len(ours)))], theirs[:min(end-at, int64(len(theirs)))]
		n, err := io.ReadFull(f, ours)
		if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
			return 0, err
		}
		clear(ours[n:])
		if _, err := image.ReadAt(theirs, at); err != nil {
			return 0, err
		}
		for i := 0; i < len(ours); i += pieceBlock {
			if !bytes.Equal(ours[i:][:pieceBlock], theirs[i:][:pieceBlock]) {
				return count, nil
			}
			count++
		}
		at += int64(len(ours))
	}
	return count, nil
}
