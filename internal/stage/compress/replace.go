package compress

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/nestos/nosa-actions/internal/atomicfile"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// absent tells whether the image's file does not lie here, which is an error if
// the image was named.
func (t target) absent(o Options) (bool, error) {
	_, err := os.Stat(t.path())
	if errors.Is(err, fs.ErrNotExist) && !slices.Contains(o.Artifacts, t.artifact) {
		return true, nil
	}
	return false, err
}

// convert makes the file called name out of the image's, in tmp, and moves it in.
// It returns the record of the new file, with the number of bytes read as its
// uncompressed size. Both files must be what is recorded of them.
func (t target) convert(ctx context.Context, o Options, name string, do func(*sink, *source) error) (workdir.Image, error) {
	scratch := filepath.Join(o.Workdir.Tmp(), "compress")
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return workdir.Image{}, err
	}
	// The architecture is not always a part of the name.
	path := filepath.Join(scratch, t.build.Arch.RPM+"-"+name)
	defer os.Remove(path)
	in, err := os.Open(t.path())
	if err != nil {
		return workdir.Image{}, err
	}
	defer in.Close()
	out, err := os.Create(path)
	if err != nil {
		return workdir.Image{}, err
	}
	defer out.Close()
	src, dst := &source{r: in, sum: sha256.New()}, &sink{f: out, sum: sha256.New()}
	if err := do(dst, src); err != nil {
		return workdir.Image{}, t.explain(ctx, src, dst, err)
	}
	made := workdir.Image{Path: name, SHA256: dst.hex(), Size: dst.size, UncompressedSize: src.size}
	if err := errors.Join(t.verify(src, made), dst.finish(), os.Chmod(path, 0o444)); err != nil {
		return workdir.Image{}, err
	}
	return made, atomicfile.Move(path, t.build.Path(name))
}

// explain finds out whether a failure comes of a file that is not what is
// recorded, which is the better message.
func (t target) explain(ctx context.Context, src *source, dst *sink, err error) error {
	if ctx.Err() != nil || dst.failed {
		return err
	}
	return errors.Join(t.verify(src, workdir.Image{SHA256: t.image.UncompressedSHA256}), err)
}

// verify compares what was read, to its end, and what was made of it with the
// record.
func (t target) verify(src *source, made workdir.Image) error {
	// A decompressor need not read what follows the last stream.
	if _, err := io.Copy(io.Discard, src); err != nil {
		return err
	}
	if got := src.hex(); got != t.image.SHA256 {
		return fmt.Errorf("%s has the sha256 %s, recorded is %s", t.image.Path, got, t.image.SHA256)
	}
	if want := t.image.UncompressedSHA256; want != "" && made.SHA256 != want {
		return fmt.Errorf("%s holds content with the sha256 %s, recorded is %s", t.image.Path, made.SHA256, want)
	}
	return nil
}

// replace enters the new file in meta.json and removes the old one.
func (t target) replace(made workdir.Image) (*Change, error) {
	err := t.build.Update(func(m *workdir.Meta) error {
		if m.Images[t.artifact] != t.image {
			return errors.New("the image was made anew meanwhile")
		}
		m.Images[t.artifact] = made
		return nil
	})
	if err != nil {
		return nil, err
	}
	c := &Change{Arch: t.build.Arch.RPM, Artifact: t.artifact, Path: t.build.Path(made.Path), After: made.Size}
	if info, err := os.Stat(t.path()); err == nil {
		c.Before = info.Size()
	}
	return c, os.Remove(t.path())
}

// removeLeftover removes the file that an earlier run could not, once the one
// that replaces it is there.
func (t target) removeLeftover(name string) error {
	if _, err := os.Stat(t.path()); err != nil {
		return nil // the only file there is, whatever it may be
	}
	if err := os.Remove(t.build.Path(name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// source reads a file and takes its checksum.
type source struct {
	r    io.Reader
	sum  hash.Hash
	size int64
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.sum.Write(p[:n])
	s.size += int64(n)
	return n, err
}

func (s *source) hex() string { return hex.EncodeToString(s.sum.Sum(nil)) }
