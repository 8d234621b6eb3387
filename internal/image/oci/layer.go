package oci

import (
	"bufio"
	"context"
	"crypto/sha256"
	"io"
	"os"

	"github.com/klauspost/pgzip"
	"github.com/opencontainers/go-digest"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo"
	"github.com/nestos/nosa-actions/internal/format/ostreetar"
)

const (
	// gzipLevel favours time over size: the archive is written in every build
	// and mostly read on the same machine or in the same network.
	gzipLevel = pgzip.BestSpeed
	// gzipBlock is compressed by one processor. Being fixed it keeps the bytes
	// the same, however many processors there are.
	gzipBlock = 1 << 20
)

// layerFile is a finished layer, in a scratch file or in an earlier archive.
type layerFile struct {
	path   string            // of the scratch file; empty: it is in blob
	blob   *io.SectionReader // in the earlier archive
	verify func() error      // holds blob against its digest
	digest digest.Digest     // of the compressed bytes
	diffID digest.Digest     // of the tar
	size   int64             // compressed
}

// open gives the compressed bytes.
func (l *layerFile) open() (io.ReadCloser, error) {
	if l.path != "" {
		return os.Open(l.path)
	}
	return io.NopCloser(io.NewSectionReader(l.blob, 0, l.size)), nil
}

// writeLayer writes a compressed layer with what fill puts into it.
func writeLayer(path string, jobs int, fill func(*ostreetar.Writer) error) (*layerFile, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	blob, diff := sha256.New(), sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(f, blob), 256<<10)
	zip, err := pgzip.NewWriterLevel(out, gzipLevel)
	if err != nil {
		return nil, err
	}
	if err := zip.SetConcurrency(gzipBlock, jobs+1); err != nil {
		return nil, err
	}
	in := bufio.NewWriterSize(io.MultiWriter(zip, diff), 256<<10)
	layer := ostreetar.NewWriter(in)
	for _, step := range []func() error{
		func() error { return fill(layer) },
		layer.Close,
		in.Flush,
	} {
		if err := step(); err != nil {
			zip.Close()
			return nil, err
		}
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	if err := out.Flush(); err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return &layerFile{
		path: path, size: info.Size(),
		digest: digest.NewDigest(digest.SHA256, blob),
		diffID: digest.NewDigest(digest.SHA256, diff),
	}, f.Close()
}

// writeCommit fills the first layer: the root directory, the commit, and each
// directory with its objects.
func (t *tree) writeCommit(w *ostreetar.Writer) error {
	if err := w.Dir("/", &t.dirs[0].Header); err != nil {
		return err
	}
	if err := w.Repo(); err != nil {
		return err
	}
	data, err := t.repo.Metadata(ostreerepo.KindCommit, t.sum)
	if err != nil {
		return err
	}
	if err := w.Metadata(ostreerepo.KindCommit, t.sum, data); err != nil {
		return err
	}
	if t.repo.Has(ostreerepo.KindCommitMeta, t.sum) {
		data, err := t.repo.Metadata(ostreerepo.KindCommitMeta, t.sum)
		if err != nil {
			return err
		}
		if err := w.Metadata(ostreerepo.KindCommitMeta, t.sum, data); err != nil {
			return err
		}
	}
	type key struct {
		kind ostreerepo.Kind
		sum  ostreerepo.Checksum
	}
	written := map[key]bool{}
	for _, dir := range t.dirs {
		for _, k := range []key{{ostreerepo.KindDirmeta, dir.Meta}, {ostreerepo.KindDirtree, dir.Checksum}} {
			if written[k] {
				continue
			}
			written[k] = true
			data, err := t.repo.Metadata(k.kind, k.sum)
			if err != nil {
				return err
			}
			if err := w.Metadata(k.kind, k.sum, data); err != nil {
				return err
			}
		}
		if dir.Path == "/" || dir.Path == "/sysroot" { // stand at the head of the layer
			continue
		}
		if err := w.Dir(dir.Path, &dir.Header); err != nil {
			return err
		}
	}
	return nil
}

// writeChunk fills a layer of files.
func (t *tree) writeChunk(ctx context.Context, w *ostreetar.Writer, c *chunk) error {
	if err := w.Repo(); err != nil {
		return err
	}
	for _, o := range c.objects {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := t.writeObject(w, o); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) writeObject(w *ostreetar.Writer, o *object) error {
	h, content, err := t.repo.File(o.sum)
	if err != nil {
		return err
	}
	defer content.Close()
	return w.File(o.sum, h, content, o.paths)
}
