package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// parts of the work directory, an artifact each.
var parts = []string{"cache", "builds"}

// way is what one way took, in seconds, and how many bytes travel.
type way struct {
	name                           string
	pack, upload, download, unpack float64
	bytes                          int64
}

func (w way) sum() float64 { return w.pack + w.upload + w.download + w.unpack }

func (w way) String() string {
	s := fmt.Sprintf("%-12s", w.name)
	for _, t := range []float64{w.pack, w.upload, w.download, w.unpack} {
		if t == 0 {
			s += fmt.Sprintf(" %9s", "-")
		} else {
			s += fmt.Sprintf(" %8.2fs", t)
		}
	}
	return s + fmt.Sprintf(" %12d", w.bytes)
}

// timed is a step that adds what do takes. What was written before does not
// count, and there is as much free memory as it takes that was in use just now: a
// virtual machine has to ask its host for other, which would cost the first.
func (b *bench) timed(ctx context.Context, sum *float64, step string, do func() error) func() error {
	return func() error {
		fmt.Fprintf(os.Stderr, "%s ...\n", step)
		unix.Sync()
		warm := filepath.Join(b.dir, "warm")
		if err := errors.Join(b.cp(ctx, warm), os.RemoveAll(warm)); err != nil {
			return err
		}
		begin := time.Now()
		if err := do(); err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
		*sum += time.Since(begin).Seconds()
		return nil
	}
}

// inOrder runs steps until one fails.
func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) fresh(name string) (string, error) {
	dir := filepath.Join(b.dir, name)
	return dir, errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755))
}
