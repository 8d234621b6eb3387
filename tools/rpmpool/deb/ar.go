package deb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	arMagic      = "!<arch>\n"
	arHeaderSize = 60
)

// member is one file of an ar archive.
type member struct {
	name string
	data *io.SectionReader
}

// members lists an ar archive of size bytes, as deb(5) describes it: common
// format, no long names. Every member lies within the archive.
func members(r io.ReaderAt, size int64) ([]member, error) {
	magic := make([]byte, len(arMagic))
	if _, err := r.ReadAt(magic, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if string(magic) != arMagic {
		return nil, errors.New("not a Debian package: the ar magic is missing")
	}
	var found []member
	for at := int64(len(arMagic)); at < size; {
		header := make([]byte, arHeaderSize)
		if _, err := r.ReadAt(header, at); err != nil {
			return nil, fmt.Errorf("ar header at byte %d: %w", at, noEOF(err))
		}
		name, length, err := parseHeader(header)
		if err != nil {
			return nil, fmt.Errorf("ar header at byte %d: %w", at, err)
		}
		at += arHeaderSize
		if length > size-at {
			return nil, fmt.Errorf("ar member %q: %w", name, io.ErrUnexpectedEOF)
		}
		found = append(found, member{name: name, data: io.NewSectionReader(r, at, length)})
		at += length + length%2
	}
	return found, nil
}

// parseHeader reads the name (16 bytes at 0) and the decimal size (10 bytes at
// 48) of a member; times and owners are of no use to us.
func parseHeader(h []byte) (name string, size int64, err error) {
	if !bytes.Equal(h[58:60], []byte("`\n")) {
		return "", 0, errors.New("the end mark is missing")
	}
	name = strings.TrimSuffix(strings.TrimRight(string(h[:16]), " "), "/")
	digits := strings.TrimRight(string(h[48:58]), " ")
	n, err := strconv.ParseUint(digits, 10, 62)
	if err != nil {
		return "", 0, fmt.Errorf("size %q is not a number", digits)
	}
	return name, int64(n), nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
