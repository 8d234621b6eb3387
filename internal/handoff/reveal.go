package handoff

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// reveal moves the staged tree into dst, all of it or nothing. What dst has
// already must be the same, but for directories, which are filled up.
func reveal(stage, dst string, m *Manifest) error {
	moves, err := plan(stage, dst, m)
	if err != nil {
		return err
	}
	for i, p := range moves {
		if err := os.Rename(filepath.Join(stage, p), filepath.Join(dst, p)); err != nil {
			for _, done := range moves[:i] {
				_ = os.Rename(filepath.Join(dst, done), filepath.Join(stage, done))
			}
			return fmt.Errorf("move into place: %w", err)
		}
	}
	return nil
}

// plan lists the topmost paths that dst lacks, or all conflicts.
func plan(stage, dst string, m *Manifest) ([]string, error) {
	var moves, conflicts []string
	moved := map[string]bool{}
	for _, e := range m.Entries {
		p := string(e.Path)
		if moved[path.Dir(p)] {
			moved[p] = true
			continue
		}
		switch same, err := compare(filepath.Join(stage, p), filepath.Join(dst, p)); {
		case errors.Is(err, fs.ErrNotExist):
			moves = append(moves, p)
			moved[p] = true
		case err != nil:
			return nil, err
		case !same:
			conflicts = append(conflicts, p)
		}
	}
	if len(conflicts) > 0 {
		more := ""
		if extra := len(conflicts) - 5; extra > 0 {
			conflicts, more = conflicts[:5], fmt.Sprintf(" and %d more", extra)
		}
		return nil, fmt.Errorf("%s has other content already: %s%s; two packs do not belong together, or the work directory is not a fresh one",
			dst, strings.Join(conflicts, ", "), more)
	}
	return moves, nil
}

// compare tells whether there is nothing to move: both are directories, or the
// same file or link. The error is fs.ErrNotExist if there is no old one.
func compare(staged, old string) (bool, error) {
	o, err := os.Lstat(old)
	if err != nil {
		return false, err
	}
	s, err := os.Lstat(staged)
	if err != nil {
		return false, fmt.Errorf("staged copy: %v", err)
	}
	if o.Mode().Type() != s.Mode().Type() {
		return false, nil
	}
	switch {
	case s.IsDir():
		return true, nil
	case s.Mode()&fs.ModeSymlink != 0:
		a, errA := os.Readlink(staged)
		b, errB := os.Readlink(old)
		return a == b, errors.Join(errA, errB)
	default:
		if o.Size() != s.Size() {
			return false, nil
		}
		return sameContent(staged, old)
	}
}

func sameContent(a, b string) (bool, error) {
	fa, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer fa.Close()
	fb, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer fb.Close()
	bufA, bufB := make([]byte, 256<<10), make([]byte, 256<<10)
	for {
		n, errA := io.ReadFull(fa, bufA)
		k, errB := io.ReadFull(fb, bufB)
		if n != k || !bytes.Equal(bufA[:n], bufB[:k]) {
			return false, nil
		}
		if errA != nil || errB != nil {
			return ended(errA) && ended(errB), unlessEnded(errA, errB)
		}
	}
}

func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func unlessEnded(errs ...error) error {
	for _, err := range errs {
		if err != nil && !ended(err) {
			return err
		}
	}
	return nil
}
