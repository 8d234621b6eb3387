package handoff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// PackOptions say what goes into a pack.
type PackOptions struct {
	Kind, Arch string            // as in Manifest
	Labels     map[string]string // as in Manifest
	// Paths, relative to the root, go in with everything below them and with
	// the directories above them. A path that does not exist is an error.
	Paths []string
	// Base is what the receiver has already; nil: nothing.
	Base *Base
	// Skip leaves out a path (relative, with slashes) and what is below it.
	Skip func(path string) bool
}

// Receipt says what was packed or unpacked.
type Receipt struct {
	Manifest *Manifest
	// Digest is the hex sha256 of the manifest as stored. Since the manifest
	// has the digest of every file, it stands for the whole content.
	Digest string
}

// PackFile writes the pack to the file at path, which appears only when whole. It
// is not flushed to the disk: what it is for does not outlive the machine.
func PackFile(ctx context.Context, path, root string, o PackOptions) (Receipt, error) {
	receipt, err := packFile(ctx, path, root, o)
	if err != nil {
		return Receipt{}, fmt.Errorf("pack %s: %w", filepath.Base(path), err)
	}
	return receipt, nil
}

func packFile(ctx context.Context, path, root string, o PackOptions) (Receipt, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".pack-*")
	if err != nil {
		return Receipt{}, err
	}
	defer os.Remove(f.Name()) // renamed already, if all went well
	defer f.Close()
	receipt, err := Pack(ctx, f, root, o)
	if err != nil {
		return Receipt{}, err
	}
	err = errors.Join(f.Chmod(0o644), f.Close())
	if err != nil {
		return Receipt{}, err
	}
	return receipt, os.Rename(f.Name(), path)
}

// Pack writes the chosen parts of the directory root to w. Same content gives
// the same bytes. Content that changes meanwhile is an error.
//
// Files are read twice: for the manifest, which comes first, and to be packed.
// The second time most of them are in memory still.
func Pack(ctx context.Context, w io.Writer, root string, o PackOptions) (Receipt, error) {
	m, err := survey(root, o)
	if err != nil {
		return Receipt{}, err
	}
	stamps, err := digestAll(ctx, root, m.Entries)
	if err != nil {
		return Receipt{}, err
	}
	if o.Base != nil {
		m.refer(o.Base)
	}
	if err := m.validate(Limits{}); err != nil {
		return Receipt{}, err
	}
	list, err := json.Marshal(m)
	if err != nil {
		return Receipt{}, fmt.Errorf("write manifest: %w", err)
	}
	if len(list) > maxManifest {
		return Receipt{}, fmt.Errorf("the manifest has %d bytes; at most %d are accepted", len(list), maxManifest)
	}
	frames, err := newFrameWriter(w)
	if err != nil {
		return Receipt{}, err
	}
	err = writeTar(ctx, frames, root, m, list, stamps)
	if closeErr := frames.Close(); closeErr != nil {
		err = closeErr // the output's own error explains any other
	}
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{Manifest: m, Digest: digest(list)}, nil
}

// output is a Writer that takes content without a copy in between.
type output interface {
	io.Writer
	io.ReaderFrom
}

func writeTar(ctx context.Context, w output, root string, m *Manifest, list []byte, stamps []stamp) error {
	if _, err := w.Write(manifestHead(int64(len(list)))); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	if _, err := w.Write(pad(list[:len(list):len(list)])); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	for i, e := range m.Entries {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := writeEntry(ctx, w, root, e, stamps[i]); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
	}
	_, err := w.Write(make([]byte, endBlocks))
	return err
}

// endBlocks are the zeros that a tar ends with.
const endBlocks = 2 * block

func writeEntry(ctx context.Context, w output, root string, e Entry, was stamp) error {
	if _, err := w.Write(e.head()); err != nil || e.Type != File {
		return err
	}
	f, err := os.Open(filepath.Join(root, string(e.Path)))
	if err != nil {
		return err
	}
	defer f.Close()
	parts := e.stored()
	for _, x := range parts {
		n, err := w.ReadFrom(interruptible{ctx, io.NewSectionReader(f, x.Offset, x.Length)})
		if err != nil {
			return err
		}
		if n != x.Length {
			return errChanged
		}
	}
	if is, err := stampOf(f); err != nil || is != was {
		return errors.Join(err, errChanged)
	}
	_, err = w.Write(make([]byte, padding(total(parts))))
	return err
}

// padding fills up n bytes to whole blocks.
func padding(n int64) int64 { return (block - n%block) % block }
