package handoff

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// UnpackOptions say what is expected. Empty fields expect nothing.
type UnpackOptions struct {
	Kind, Arch string            // must be those of the pack
	Labels     map[string]string // each must be the pack's where the pack has it
	Limits     Limits
	// Base is what a thin pack may refer to; nil: nothing.
	Base *Base
}

// stagePrefix begins the names of the directories below the target in which
// packs are unpacked before they become visible.
const stagePrefix = ".handoff-"

// UnpackFile unpacks the pack at path as Unpack does.
func UnpackFile(ctx context.Context, path, dst string, o UnpackOptions) (Receipt, error) {
	f, err := os.Open(path)
	if err != nil {
		return Receipt{}, err
	}
	defer f.Close()
	receipt, err := Unpack(ctx, f, dst, o)
	if err != nil {
		return Receipt{}, fmt.Errorf("unpack %s: %w", filepath.Base(path), err)
	}
	return receipt, nil
}

// Inspect reads what the pack at path says it is, and none of its content. It is
// checked as far as Unpack does before it writes anything.
func Inspect(ctx context.Context, path string) (Receipt, error) {
	f, err := os.Open(path)
	if err != nil {
		return Receipt{}, err
	}
	defer f.Close()
	frames, err := newFrameReader(interruptible{ctx, f})
	if err != nil {
		return Receipt{}, err
	}
	defer frames.Close()
	m, sum, err := readManifest(frames, Limits{})
	if err != nil {
		return Receipt{}, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return Receipt{Manifest: m, Digest: sum}, nil
}

// Unpack restores a pack in the directory dst, which must exist. Directories
// that dst has already are kept and filled up; a file that it has already must
// be the same. Nothing appears unless every member is as the manifest says and
// none is in conflict.
//
// Without root, files belong to the caller, and attributes that only root may
// set are left out.
func Unpack(ctx context.Context, r io.Reader, dst string, o UnpackOptions) (Receipt, error) {
	unlock, err := lockAndSweep(dst)
	if err != nil {
		return Receipt{}, err
	}
	defer unlock()
	stage, err := os.MkdirTemp(dst, stagePrefix)
	if err != nil {
		return Receipt{}, err
	}
	defer removeStage(stage)

	frames, err := newFrameReader(interruptible{ctx, r})
	if err != nil {
		return Receipt{}, err
	}
	defer frames.Close()
	m, sum, err := readManifest(frames, o.Limits)
	if err != nil {
		return Receipt{}, err
	}
	if err := o.match(m); err != nil {
		return Receipt{}, err
	}
	if err := checkSpace(dst, m.Bytes()); err != nil {
		return Receipt{}, err
	}
	if err := extract(ctx, frames, stage, m, o.Base); err != nil {
		return Receipt{}, err
	}
	if err := reveal(stage, dst, m); err != nil {
		return Receipt{}, err
	}
	return Receipt{Manifest: m, Digest: sum}, nil
}

// readManifest reads the first member and checks all that it says.
func readManifest(r io.Reader, l Limits) (*Manifest, string, error) {
	head := make([]byte, block)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, "", fmt.Errorf("not a pack, or cut off: %w", noEOF(err))
	}
	size, err := manifestSize(head)
	if err != nil {
		return nil, "", err
	}
	if size > maxManifest {
		return nil, "", fmt.Errorf("the manifest has %d bytes; at most %d are accepted", size, maxManifest)
	}
	var list bytes.Buffer // grows with what is there, not with what is claimed
	if _, err := io.CopyN(&list, r, size); err != nil {
		return nil, "", fmt.Errorf("read manifest: %w", noEOF(err))
	}
	if err := readZeros(r, padding(size)); err != nil {
		return nil, "", err
	}
	var m Manifest
	if err := json.Unmarshal(list.Bytes(), &m); err != nil {
		return nil, "", fmt.Errorf("read manifest: %w", err)
	}
	if err := m.validate(l); err != nil {
		return nil, "", fmt.Errorf("manifest: %w", err)
	}
	return &m, digest(list.Bytes()), nil
}

// match tells a pack for something else apart from the one that was meant.
func (o UnpackOptions) match(m *Manifest) error {
	if o.Kind != "" && m.Kind != o.Kind {
		return fmt.Errorf("this is a %q pack, not a %q one", m.Kind, o.Kind)
	}
	if o.Arch != "" && m.Arch != o.Arch {
		return fmt.Errorf("made for %s, not for %s", m.Arch, o.Arch)
	}
	for key, want := range o.Labels {
		if got := m.Labels[key]; got != "" && want != "" && got != want {
			return fmt.Errorf("made from %s %s, not %s; give all jobs the same one", key, got, want)
		}
	}
	return o.Base.match(m)
}

// checkSpace refuses early what cannot end well.
func checkSpace(dir string, need int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("free space of %s: %w", dir, err)
	}
	if free := int64(st.Bavail) * st.Bsize; need > free {
		return fmt.Errorf("needs %d MiB in %s, where %d MiB are free", need>>20, dir, free>>20)
	}
	return nil
}

// lockAndSweep makes the caller the only one that unpacks into dst and removes
// what a killed one left.
func lockAndSweep(dst string) (unlock func(), err error) {
	dir, err := os.Open(dst)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		dir.Close()
		return nil, fmt.Errorf("another process is unpacking into %s", dst)
	}
	left, err := filepath.Glob(filepath.Join(escapeGlob(dst), stagePrefix+"*"))
	if err == nil {
		for _, stage := range left {
			removeStage(stage)
		}
	}
	return func() { dir.Close() }, err
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// noEOF names the usual end of a file for what it is here: too early.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
