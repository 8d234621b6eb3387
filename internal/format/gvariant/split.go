package gvariant

import "fmt"

// OffsetSize is the width in bytes of the framing offsets at the end of a
// container that takes size bytes in all, offsets included.
func OffsetSize(size int) int {
	switch {
	case size <= 0xff:
		return 1
	case size <= 0xffff:
		return 2
	case int64(size) <= 0xffffffff:
		return 4
	default:
		return 8
	}
}

// offsetAt reads the framing offset of the width that begins at pos; ok is
// false if it points behind limit.
func offsetAt(data []byte, pos, width, limit int) (offset int, ok bool) {
	var v uint64
	for i := width - 1; i >= 0; i-- {
		v = v<<8 | uint64(data[pos+i])
	}
	return int(v), v <= uint64(limit)
}

// align rounds up to a multiple of a power of two.
func align(pos, to int) int { return (pos + to - 1) &^ (to - 1) }

// padded checks that the bytes between two members are zero.
func padded(data []byte, from, to int) bool {
	for _, c := range data[from:to] {
		if c != 0 {
			return false
		}
	}
	return true
}

// splitArray: members of fixed size lie side by side; others are followed by
// the list of their ends.
func (t *node) splitArray(data []byte) ([][]byte, error) {
	child := t.members[0]
	if len(data) == 0 {
		return nil, nil
	}
	if size := child.fixed; size > 0 {
		if len(data)%size != 0 {
			return nil, fmt.Errorf("array of %d bytes with members of %d: %w", len(data), size, errForm)
		}
		parts := make([][]byte, 0, len(data)/size)
		for pos := 0; pos < len(data); pos += size {
			parts = append(parts, data[pos:pos+size])
		}
		return parts, nil
	}
	width := OffsetSize(len(data))
	table, ok := offsetAt(data, len(data)-width, width, len(data)-width)
	if !ok || (len(data)-table)%width != 0 {
		return nil, errForm
	}
	parts := make([][]byte, 0, (len(data)-table)/width)
	pos := 0
	for at := table; at < len(data); at += width {
		begin := align(pos, child.align)
		end, ok := offsetAt(data, at, width, table)
		if !ok || begin > end || !padded(data, pos, begin) {
			return nil, errForm
		}
		parts = append(parts, data[begin:end])
		pos = end
	}
	return parts, nil
}

// splitTuple: the ends of all members of variable size but the last member
// stand at the end, in reverse order.
func (t *node) splitTuple(data []byte) ([][]byte, error) {
	if t.fixed > 0 {
		return t.splitFixed(data)
	}
	width := OffsetSize(len(data))
	limit := len(data) - width*t.framed
	if limit < 0 {
		return nil, errForm
	}
	parts := make([][]byte, 0, len(t.members))
	pos, at := 0, len(data)
	for i, m := range t.members {
		begin := align(pos, m.align)
		end, ok := begin+m.fixed, true
		switch {
		case m.fixed > 0:
		case i == len(t.members)-1:
			end = limit
		default:
			at -= width
			end, ok = offsetAt(data, at, width, limit)
		}
		if !ok || begin > end || end > limit || !padded(data, pos, begin) {
			return nil, errForm
		}
		parts = append(parts, data[begin:end])
		pos = end
	}
	if pos != limit {
		return nil, errForm
	}
	return parts, nil
}

func (t *node) splitFixed(data []byte) ([][]byte, error) {
	if len(data) != t.fixed {
		return nil, errForm
	}
	parts := make([][]byte, 0, len(t.members))
	pos := 0
	for _, m := range t.members {
		begin := align(pos, m.align)
		if !padded(data, pos, begin) {
			return nil, errForm
		}
		pos = begin + m.fixed
		parts = append(parts, data[begin:pos])
	}
	if !padded(data, pos, len(data)) {
		return nil, errForm
	}
	return parts, nil
}
