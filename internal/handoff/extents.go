package handoff

import (
	"fmt"
	"os"

	"github.com/nestos/nosa-actions/internal/sparsefile"
)

// Extent is a range of bytes of a file.
type Extent struct {
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`
}

func (x Extent) end() int64 { return x.Offset + x.Length }

// total is the length of all extents together.
func total(list []Extent) int64 {
	var sum int64
	for _, x := range list {
		sum += x.Length
	}
	return sum
}

// join appends an extent, as part of the last one if it follows on it.
func join(list []Extent, x Extent) []Extent {
	if n := len(list); n > 0 && list[n-1].end() == x.Offset {
		list[n-1].Length += x.Length
		return list
	}
	return append(list, x)
}

// extents asks the file system where f holds data. ok is false for a file
// without holes.
func extents(f *os.File, size int64) (list []Extent, ok bool, err error) {
	if size == 0 {
		return nil, false, nil
	}
	for at := int64(0); at < size; {
		from, to, err := sparsefile.NextData(f, at, size)
		if err != nil {
			return nil, false, fmt.Errorf("find the holes of %s: %w", f.Name(), err)
		}
		if from < to {
			list = append(list, Extent{from, to - from})
		}
		at = to
	}
	if len(list) == 1 && list[0].Length == size {
		return nil, false, nil
	}
	return merge(list, maxExtents), true, nil
}

// merge fills the smallest holes until at most limit extents are left.
func merge(list []Extent, limit int) []Extent {
	for gap := int64(4096); len(list) > limit; gap *= 2 {
		merged := list[:1]
		for _, x := range list[1:] {
			last := &merged[len(merged)-1]
			if x.Offset-last.end() <= gap {
				last.Length = x.end() - last.Offset
				continue
			}
			merged = append(merged, x)
		}
		list = merged
	}
	return list
}
