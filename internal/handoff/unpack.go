package handoff

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
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

	frames, err := newFrameReader(r)
	if err != nil {
		return Receipt{}, fmt.Errorf("set up zstd: %w", err)
	}
	defer frames.Close()
	tr := tar.NewReader(interruptible{ctx, frames})
	m, sum, err := readManifest(tr, o)
	if err != nil {
		return Receipt{}, err
	}
	if err := checkSpace(dst, m.Bytes()); err != nil {
		return Receipt{}, err
	}
	if err := extract(tr, stage, m); err != nil {
		return Receipt{}, err
	}
	if err := checkEnd(frames); err != nil {
		return Receipt{}, err
	}
	if err := reveal(stage, dst, m); err != nil {
		return Receipt{}, err
	}
	return Receipt{Manifest: m, Digest: sum}, nil
}

// readManifest reads the first member and checks all that it says.
func readManifest(tr *tar.Reader, o UnpackOptions) (*Manifest, string, error) {
	h, err := tr.Next()
	if err != nil {
		return nil, "", fmt.Errorf("not a pack, or cut off: %w", noEOF(err))
	}
	if h.Name != ManifestName || h.Typeflag != tar.TypeReg {
		return nil, "", fmt.Errorf("not a pack: its first member is %q, not %s", h.Name, ManifestName)
	}
	if h.Size > maxManifest {
		return nil, "", fmt.Errorf("the manifest has %d bytes; at most %d are accepted", h.Size, maxManifest)
	}
	list, err := io.ReadAll(tr)
	if err != nil {
		return nil, "", fmt.Errorf("read manifest: %w", noEOF(err))
	}
	var m Manifest
	if err := json.Unmarshal(list, &m); err != nil {
		return nil, "", fmt.Errorf("read manifest: %w", err)
	}
	if err := m.validate(o.Limits); err != nil {
		return nil, "", fmt.Errorf("manifest: %w", err)
	}
	return &m, digest(list), o.match(&m)
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
	return nil
}

// extract writes every member below stage and checks it against the manifest.
func extract(tr *tar.Reader, stage string, m *Manifest) error {
	root, err := os.OpenRoot(stage)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, want := range m.Entries {
		h, err := tr.Next()
		if err != nil {
			return fmt.Errorf("%s: cut off: %w", want.Path, noEOF(err))
		}
		got, err := entryOf(h)
		if err != nil {
			return err
		}
		if !got.equal(want) {
			return fmt.Errorf("%q is not what the manifest lists as %q", got.Path, want.Path)
		}
		if err := write(root, want, tr); err != nil {
			return fmt.Errorf("%s: %w", want.Path, err)
		}
	}
	switch _, err := tr.Next(); {
	case err == nil:
		return errors.New("has members that the manifest does not list")
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("cut off: %w", err)
	}
	for i := len(m.Entries) - 1; i >= 0; i-- { // inner directories first: times change with content
		if e := m.Entries[i]; e.Type == Dir {
			if err := restoreDir(root, e); err != nil {
				return fmt.Errorf("%s: %w", e.Path, err)
			}
		}
	}
	return nil
}

func write(root *os.Root, e Entry, content io.Reader) error {
	switch e.Type {
	case Dir:
		return root.Mkdir(string(e.Path), 0o700)
	case Symlink:
		if err := root.Symlink(string(e.Link), string(e.Path)); err != nil {
			return err
		}
		return restoreSymlink(root, e)
	case HardLink:
		return root.Link(string(e.Link), string(e.Path))
	default:
		return writeFile(root, e, content)
	}
}

func writeFile(root *os.Root, e Entry, content io.Reader) error {
	f, err := root.OpenFile(string(e.Path), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	parts := e.Extents
	if !e.Sparse {
		parts = []Extent{{0, e.Size}}
	}
	sum := sha256.New()
	var at int64
	for _, x := range parts {
		if _, err := io.CopyN(io.Discard, content, x.Offset-at); err != nil {
			return noEOF(err)
		}
		out := io.MultiWriter(io.NewOffsetWriter(f, x.Offset), sum)
		if _, err := io.CopyN(out, content, x.Length); err != nil {
			return noEOF(err)
		}
		at = x.Offset + x.Length
	}
	if hex.EncodeToString(sum.Sum(nil)) != e.SHA256 {
		return errors.New("content is not what the manifest says; the pack was altered")
	}
	if err := f.Truncate(e.Size); err != nil {
		return err
	}
	if err := restoreFile(f, e); err != nil {
		return err
	}
	return f.Close()
}

// checkEnd accepts only the zeros that tar ends with.
func checkEnd(r io.Reader) error {
	rest, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return fmt.Errorf("cut off: %w", err)
	}
	if strings.Trim(string(rest), "\x00") != "" || len(rest) == 1<<20 {
		return errors.New("has something after its end")
	}
	return nil
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
