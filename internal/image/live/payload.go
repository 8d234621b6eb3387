package live

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Payload is a raw disk image that the installer can write.
type Payload struct {
	Kind   image.Kind
	Path   string
	SHA256 string // hex
	Size   int64  // bytes
}

// payloadDir is where the payloads lie in rootfs.img, and the installer in the
// physical root.
const payloadDir = "nestos-installer"

// packed is a payload as it goes on board.
type packed struct {
	Payload
	file    string // compressed by zstd: the image, or what of it is not in pieces
	list    string // where it is in pieces: the file with their list, compressed
	parts   string // and the objects that the list has in parts
	buildID string
}

// info is what the installer must know before it reads a payload: digest and
// size of the image, size of its sectors, and the build, as words of one line.
func (p packed) info() string {
	return fmt.Sprintf("%s %d %d %s\n", p.SHA256, p.Size, p.Kind.Traits().SectorSize, p.buildID)
}

// assemblers are the programs of a live system that its installer puts pieces
// together with.
var assemblers = []string{"split", "truncate", "xargs"}

// packPayloads waits for the payloads and packs them: in pieces, where the live
// system can put them together and little is left beside what it has.
func (b *builder) packPayloads(ctx context.Context) ([]packed, error) {
	payloads, err := b.Payloads(ctx)
	if err != nil {
		return nil, err
	}
	var has *objects
	if b.assembles() {
		if has, err = indexObjects(filepath.Join(b.Sysroot.Path, "ostree/repo")); err != nil {
			return nil, fmt.Errorf("reading the objects of the live system: %w", err)
		}
	}
	var all []packed
	for _, payload := range payloads {
		p, err := b.packPayload(ctx, payload, has)
		if err != nil {
			return nil, fmt.Errorf("compressing the %s image: %w", payload.Kind, err)
		}
		all = append(all, p)
	}
	return all, nil
}

func (b *builder) assembles() bool {
	for _, program := range assemblers {
		if _, err := os.Stat(filepath.Join(b.Sysroot.Deployment, "usr/bin", program)); err != nil {
			return false
		}
	}
	return true
}

// packPayload packs one. has may be nil.
func (b *builder) packPayload(ctx context.Context, payload Payload, has *objects) (packed, error) {
	p := packed{Payload: payload, file: filepath.Join(b.Scratch, string(payload.Kind)+".zst"), buildID: b.Sysroot.BuildID}
	in, err := os.Open(payload.Path)
	if err != nil {
		return p, err
	}
	defer in.Close()
	if has != nil && payload.Size%pieceBlock == 0 {
		if done, err := b.packPieces(ctx, &p, in, has); err != nil || done {
			return p, err
		}
		if _, err := in.Seek(0, io.SeekStart); err != nil {
			return p, err
		}
	}
	return p, b.compress(ctx, in, p.file)
}

// packPieces packs an image by what the live system has of it, unless little is
// gained.
func (b *builder) packPieces(ctx context.Context, p *packed, image *os.File, has *objects) (done bool, err error) {
	var cut *pieces
	err = b.compressFrom(ctx, p.file, func(w io.Writer) (err error) {
		blocks := bufio.NewWriterSize(w, 1<<20)
		if cut, err = has.cut(image, p.Size, blocks); err != nil {
			return err
		}
		return blocks.Flush()
	})
	if err != nil {
		return false, err
	}
	if cut == nil {
		return false, os.Remove(p.file)
	}
	p.parts = cut.parts.String()
	p.list = filepath.Join(b.Scratch, string(p.Kind)+".list.zst")
	return true, b.compress(ctx, &cut.list, p.list)
}

// compressFrom compresses what write writes into a file.
func (b *builder) compressFrom(ctx context.Context, file string, write func(io.Writer) error) error {
	from, to := io.Pipe()
	group, both := errgroup.WithContext(ctx)
	group.Go(func() error {
		err := write(to)
		to.CloseWithError(err)
		return err
	})
	group.Go(func() error {
		err := b.compress(both, from, file)
		from.CloseWithError(err)
		return err
	})
	return group.Wait()
}

// compress compresses a stream into a file.
func (b *builder) compress(ctx context.Context, in io.Reader, file string) error {
	level := "-3" // higher ones save little, and compete with mksquashfs
	if b.Fast {
		level = "-1"
	}
	_, err := b.run.Run(ctx, tool.Cmd{Name: "zstd", Args: []string{"-q", "-T0", level, "--no-progress", "-o", file}, Stdin: in})
	return err
}
