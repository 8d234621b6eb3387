package handoff

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/atomicfile"
)

// PackOptions say what goes into a pack.
type PackOptions struct {
	Kind, Arch string            // as in Manifest
	Labels     map[string]string // as in Manifest
	// Paths, relative to the root, go in with everything below them and with
	// the directories above them. A path that does not exist is an error.
	Paths []string
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

// PackFile writes the pack to the file at path, which appears only when whole.
func PackFile(ctx context.Context, path, root string, o PackOptions) (Receipt, error) {
	var receipt Receipt
	err := atomicfile.WriteFrom(path, 0o644, func(w io.Writer) (err error) {
		receipt, err = Pack(ctx, w, root, o)
		return err
	})
	if err != nil {
		return Receipt{}, fmt.Errorf("pack %s: %w", filepath.Base(path), err)
	}
	return receipt, nil
}

// Pack writes the chosen parts of the directory root to w. Same content gives
// the same bytes. Content that changes meanwhile is an error.
func Pack(ctx context.Context, w io.Writer, root string, o PackOptions) (Receipt, error) {
	m, err := survey(root, o)
	if err != nil {
		return Receipt{}, err
	}
	if err := hashAll(ctx, root, m.Entries); err != nil {
		return Receipt{}, err
	}
	if err := m.validate(Limits{}); err != nil {
		return Receipt{}, err
	}
	list, err := json.Marshal(m)
	if err != nil {
		return Receipt{}, fmt.Errorf("write manifest: %w", err)
	}
	frames, err := newFrameWriter(w)
	if err != nil {
		return Receipt{}, err
	}
	err = writeTar(ctx, frames, root, m, list)
	if closeErr := frames.Close(); closeErr != nil {
		err = closeErr // the output's own error explains any other
	}
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{Manifest: m, Digest: digest(list)}, nil
}

func writeTar(ctx context.Context, w io.Writer, root string, m *Manifest, list []byte) error {
	tw := tar.NewWriter(w)
	head := &tar.Header{
		Name: ManifestName, Typeflag: tar.TypeReg, Mode: 0o644,
		Size: int64(len(list)), ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
	}
	if err := tw.WriteHeader(head); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	if _, err := tw.Write(list); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	for _, e := range m.Entries {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := writeEntry(ctx, tw, w, root, e); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
	}
	return tw.Close()
}

func writeEntry(ctx context.Context, tw *tar.Writer, raw io.Writer, root string, e Entry) error {
	if e.Type != File {
		return tw.WriteHeader(e.header())
	}
	f, err := os.Open(filepath.Join(root, string(e.Path)))
	if err != nil {
		return err
	}
	defer f.Close()
	out := io.Writer(tw)
	if e.Sparse {
		if err := tw.Flush(); err != nil {
			return err
		}
		if _, err := raw.Write(sparseHead(e)); err != nil {
			return err
		}
		out = raw
	} else if err := tw.WriteHeader(e.header()); err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, sum), interruptible{ctx, e.reader(f)})
	if err != nil {
		return err
	}
	if n != e.data() || hex.EncodeToString(sum.Sum(nil)) != e.SHA256 {
		return fmt.Errorf("changed while it was packed")
	}
	if e.Sparse {
		_, err = raw.Write(make([]byte, (block-n%block)%block))
	}
	return err
}

// hashAll fills in the digests, on all cores.
func hashAll(ctx context.Context, root string, entries []Entry) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range entries {
		e := &entries[i]
		if e.Type != File {
			continue
		}
		g.Go(func() error { return e.hash(ctx, root) })
	}
	return g.Wait()
}

// hash finds the file's holes and digest.
func (e *Entry) hash(ctx context.Context, root string) error {
	f, err := os.Open(filepath.Join(root, string(e.Path)))
	if err != nil {
		return err
	}
	defer f.Close()
	if e.Extents, e.Sparse, err = extents(f, e.Size); err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, interruptible{ctx, e.reader(f)})
	if err != nil {
		return fmt.Errorf("read %s: %w", e.Path, err)
	}
	if n != e.data() {
		return fmt.Errorf("%s: changed while it was packed", e.Path)
	}
	e.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// interruptible ends a long copy when the context ends.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i interruptible) Read(p []byte) (int, error) {
	if i.ctx.Err() != nil {
		return 0, context.Cause(i.ctx)
	}
	return i.r.Read(p)
}
