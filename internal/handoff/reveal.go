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
	"time"
)

// ConflictError says that the target has other content already.
type ConflictError struct {
	Dir   string
	Paths []string // relative to Dir
}

func (e *ConflictError) Error() string {
	shown, more := e.Paths, ""
	if extra := len(shown) - 5; extra > 0 {
		shown, more = shown[:5], fmt.Sprintf(" and %d more", extra)
	}
	return fmt.Sprintf("%s has other content already: %s%s; two packs do not belong together, or the work directory is not a fresh one",
		e.Dir, strings.Join(shown, ", "), more)
}

// reveal moves the staged tree into dst, all of it or nothing. What dst has
// already must be the same, but for directories, which are filled up and then
// are as new as their newest, so that the order of packs leaves no trace.
func reveal(stage, dst string, m *Manifest) error {
	moves, err := plan(stage, dst, m)
	if err != nil {
		return err
	}
	defer settle(dst, m)()
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

// settle notes the times of the directories that dst has, which moves change, and
// returns what gives them back. A time that cannot be set is no error: nothing
// reads it.
func settle(dst string, m *Manifest) func() {
	times := map[string]time.Time{}
	for _, e := range m.Entries {
		if e.Type != Dir {
			continue
		}
		path := filepath.Join(dst, string(e.Path))
		if info, err := os.Lstat(path); err == nil && info.IsDir() {
			times[path] = info.ModTime()
			if at := time.Unix(0, e.MTime); at.After(info.ModTime()) {
				times[path] = at
			}
		}
	}
	return func() {
		for path, at := range times {
			_ = os.Chtimes(path, at, at)
		}
	}
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
		return nil, &ConflictError{dst, conflicts}
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
