package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo"
	"github.com/nestos/nosa-actions/internal/format/ostreetar"
	"github.com/nestos/nosa-actions/internal/tool"
)

// maxLayer is the size in bytes that an unpacked layer may have.
const maxLayer = 64 << 30

// Import brings the commit of an oci-archive into the repository, which is in
// mode archive, bare (as root) or bare-user, and returns its checksum. No ref is
// set. Every blob is held against its digest and every object against its
// checksum; nothing but objects that belong to the commit is written, and the
// commit itself only when all the others are there. It runs no program; the
// Runner is there for symmetry with Export.
func Import(ctx context.Context, _ tool.Runner, archive, repo string) (commit string, err error) {
	commit, err = importArchive(ctx, archive, repo)
	if err != nil {
		return "", fmt.Errorf("import %s: %w", archive, err)
	}
	return commit, nil
}

func importArchive(ctx context.Context, name, dir string) (commit string, err error) {
	a, err := openArchive(name)
	if err != nil {
		return "", err
	}
	defer a.Close()
	img, manifest, config, err := a.image()
	if err != nil {
		return "", err
	}
	sum, err := checkLayout(img, manifest, config)
	if err != nil {
		return "", err
	}
	repo, err := ostreerepo.Open(dir)
	if err != nil {
		return "", err
	}
	w, err := repo.NewWriter(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	i := &importer{
		archive: a, repo: repo, writer: w, layers: manifest.Layers, diffIDs: config.RootFS.DiffIDs,
		commit: sum, metadata: newMetadata(),
	}
	return img.Commit, i.run(ctx)
}

// checkLayout refuses images that are more or less than one commit.
func checkLayout(img *Image, manifest v1.Manifest, config v1.Image) (ostreerepo.Checksum, error) {
	var none ostreerepo.Checksum
	final := img.Labels[labelFinalLayer]
	if img.Commit == "" || final == "" {
		return none, fmt.Errorf("not an OSTree container of format version 1: the labels %s and %s are needed", labelCommit, labelFinalLayer)
	}
	sum, err := ostreerepo.ParseChecksum(img.Commit)
	if err != nil {
		return none, fmt.Errorf("label %s: %w", labelCommit, err)
	}
	ids := config.RootFS.DiffIDs
	if len(manifest.Layers) == 0 || len(ids) != len(manifest.Layers) {
		return none, fmt.Errorf("manifest has %d layers and the image configuration %d", len(manifest.Layers), len(ids))
	}
	for i, id := range ids {
		if id.String() != final {
			continue
		}
		if extra := len(ids) - 1 - i; extra > 0 {
			return none, fmt.Errorf("%d layers were added on top of the commit; only the image of a plain commit can be imported", extra)
		}
		return sum, nil
	}
	return none, fmt.Errorf("no layer has the diffID %.100q that the label %s names", final, labelFinalLayer)
}

// importer is one run of Import.
type importer struct {
	archive *archive
	repo    *ostreerepo.Repo
	writer  *ostreerepo.Writer
	layers  []v1.Descriptor
	diffIDs []digest.Digest
	commit  ostreerepo.Checksum

	metadata *metadata
	mu       sync.Mutex
	files    map[ostreerepo.Checksum]bool // of the commit; true: seen in a layer
}

func (i *importer) run(ctx context.Context) error {
	// The first layer says what the others may bring.
	if err := i.layer(ctx, 0); err != nil {
		return err
	}
	if err := i.settle(); err != nil {
		return err
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for n := 1; n < len(i.layers); n++ {
		group.Go(func() error { return i.layer(inner, n) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for sum, seen := range i.files {
		if !seen && !i.repo.Has(ostreerepo.KindFile, sum) {
			return fmt.Errorf("file object %s of the commit is in no layer", sum)
		}
	}
	if err := i.metadata.write(i.writer); err != nil {
		return err
	}
	return i.writer.Commit(i.commit, i.metadata.commit, i.metadata.detached)
}

// layer reads one layer to its end. When something in it is wrong, the first
// question is whether it is the layer that was made.
func (i *importer) layer(ctx context.Context, n int) error {
	err := i.readLayer(ctx, n)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if damage := i.archive.verify(i.layers[n]); damage != nil {
		return fmt.Errorf("layer %d: %w", n+1, damage)
	}
	return fmt.Errorf("layer %d: %w", n+1, err)
}

func (i *importer) readLayer(ctx context.Context, n int) error {
	desc := i.layers[n]
	section, err := i.archive.blob(desc)
	if err != nil {
		return err
	}
	blob, diff := digest.SHA256.Digester(), digest.SHA256.Digester()
	packed := io.TeeReader(&interruptible{ctx, section}, blob.Hash())
	unpacked, err := decompress(desc.MediaType, packed)
	if err != nil {
		return err
	}
	defer unpacked.Close()
	content := io.TeeReader(&limited{r: unpacked, left: maxLayer}, diff.Hash())
	if err := i.readObjects(n, ostreetar.NewReader(content)); err != nil {
		return err
	}
	// What follows the end of the tar belongs to the digests too.
	for _, rest := range []io.Reader{content, packed} {
		if _, err := io.Copy(io.Discard, rest); err != nil {
			return err
		}
	}
	if err := matches(desc, blob); err != nil {
		return err
	}
	if got := diff.Digest(); got != i.diffIDs[n] {
		return fmt.Errorf("unpacked content has the digest %s instead of %s", got, i.diffIDs[n])
	}
	return nil
}

func (i *importer) readObjects(n int, r *ostreetar.Reader) error {
	for {
		o, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if o.Kind == ostreerepo.KindFile {
			err = i.file(o)
		} else if n > 0 || i.files != nil {
			err = fmt.Errorf("%s %s comes after the content", o.Kind, o.Checksum)
		} else {
			err = i.metadata.add(i.commit, o)
		}
		if err != nil {
			return err
		}
	}
}

// settle ends the metadata: from now on it is known which files are due.
func (i *importer) settle() (err error) {
	if i.files == nil {
		i.files, err = i.metadata.reachable(i.commit)
	}
	return err
}

func (i *importer) file(o *ostreetar.Object) error {
	if err := i.settle(); err != nil { // only the first layer can have it open
		return err
	}
	i.mu.Lock()
	seen, due := i.files[o.Checksum]
	if due {
		i.files[o.Checksum] = true
	}
	i.mu.Unlock()
	switch {
	case !due:
		return fmt.Errorf("file object %s does not belong to the commit", o.Checksum)
	case seen:
		return nil // in two layers; the first is as good
	}
	return i.writer.File(o.Checksum, o.Header, o.Content)
}

// decompress unpacks a layer as its media type says.
func decompress(mediaType string, r io.Reader) (io.ReadCloser, error) {
	switch mediaType {
	case v1.MediaTypeImageLayerGzip:
		return pgzip.NewReader(r)
	case v1.MediaTypeImageLayerZstd:
		z, err := zstd.NewReader(r)
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	case v1.MediaTypeImageLayer:
		return io.NopCloser(r), nil
	}
	return nil, fmt.Errorf("media type %.100q is not supported", mediaType)
}

// interruptible ends with the context.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (r *interruptible) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}

// limited fails, instead of ending quietly, behind its limit.
type limited struct {
	r    io.Reader
	left int64
}

func (r *limited) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if r.left -= int64(n); r.left < 0 {
		return 0, fmt.Errorf("layer unpacks to more than %d bytes", int64(maxLayer))
	}
	return n, err
}
