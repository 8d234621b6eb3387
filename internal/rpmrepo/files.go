package rpmrepo

import (
	"context"
	"crypto/sha1" //nolint:gosec // old repositories still give SHA-1 sums
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/atomicfile"
)

// bring makes every package present and verified in dir. Files that dnf has
// downloaded are there already; those of file:// repositories are copied.
func bring(ctx context.Context, packages []Package, paths []string, dir string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for i, p := range packages {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			target := filepath.Join(dir, p.File)
			err := p.Verify(dir)
			if err == nil {
				return nil
			}
			if filepath.Clean(paths[i]) != filepath.Clean(target) {
				if err := copyFile(paths[i], target); err != nil {
					return fmt.Errorf("copy %s from repository %s: %w", p.File, p.Repo, err)
				}
				err = p.Verify(dir)
			}
			if errors.Is(err, ErrChecksum) {
				_ = os.Remove(target) // or every later fetch would trip over it
				return fmt.Errorf("repository %s lies: %w", p.Repo, err)
			}
			return err
		})
	}
	return group.Wait()
}

// weed removes from a directory of packages whatever is no regular file. It may
// have been filled by another machine: a link would be followed to a file that
// somebody changes later, and a pipe be waited for.
func weed(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return atomicfile.WriteFrom(to, 0o644, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}

// ErrChecksum is returned when a file is not what its repository's metadata
// says.
var ErrChecksum = errors.New("checksum differs")

// Verify compares the package's file in dir with its checksum.
func (p Package) Verify(dir string) error {
	algorithm, want, _ := strings.Cut(p.Checksum, ":")
	sum, err := newHash(algorithm)
	if err != nil {
		return fmt.Errorf("%s: %w", p.File, err)
	}
	f, err := os.Open(filepath.Join(dir, p.File))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("%s: %w: the metadata says %s %s, the file has %s", p.File, ErrChecksum, algorithm, want, got)
	}
	return nil
}

func newHash(algorithm string) (hash.Hash, error) {
	switch algorithm {
	case "sha256":
		return sha256.New(), nil
	case "sha512":
		return sha512.New(), nil
	case "sha384":
		return sha512.New384(), nil
	case "sha1", "sha":
		return sha1.New(), nil //nolint:gosec // see the import
	}
	return nil, fmt.Errorf("unknown checksum %q", algorithm)
}

// VerifyAll verifies the packages in dir on all cores and names each that is
// missing or damaged.
func VerifyAll(ctx context.Context, packages []Package, dir string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	failed := make([]error, len(packages))
	for i, p := range packages {
		group.Go(func() error {
			failed[i] = p.Verify(dir)
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return errors.Join(failed...)
}
