package live

import (
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
	file    string // compressed by zstd
	delta   string // where the file is a delta of the first payload: its list
	buildID string
}

// info is what the installer must know before it reads a payload: digest and
// size of the image, size of its sectors, and the build, as words of one line.
func (p packed) info() string {
	return fmt.Sprintf("%s %d %d %s\n", p.SHA256, p.Size, p.Kind.Traits().SectorSize, p.buildID)
}

// packPayloads waits for the payloads and compresses them: the first whole, the
// others as deltas of it where that is less.
func (b *builder) packPayloads(ctx context.Context) ([]packed, error) {
	payloads, err := b.Payloads(ctx)
	if err != nil {
		return nil, err
	}
	var all []packed
	for _, payload := range payloads {
		p, err := b.packPayload(ctx, payload, payloads[0])
		if err != nil {
			return nil, fmt.Errorf("compressing the %s image: %w", payload.Kind, err)
		}
		all = append(all, p)
	}
	return all, nil
}

func (b *builder) packPayload(ctx context.Context, payload, first Payload) (packed, error) {
	p := packed{Payload: payload, file: filepath.Join(b.Scratch, string(payload.Kind)+".zst"), buildID: b.Sysroot.BuildID}
	in, err := os.Open(payload.Path)
	if err != nil {
		return p, err
	}
	defer in.Close()
	if payload.Kind != first.Kind && payload.Size == first.Size && payload.Size%deltaBlock == 0 {
		base, err := os.Open(first.Path)
		if err != nil {
			return p, err
		}
		defer base.Close()
		diff, err := difference(base, in, payload.Size)
		if err != nil {
			return p, err
		}
		if diff.blocks*deltaBlock < payload.Size/4 {
			p.delta, err = b.packDelta(ctx, diff, in, p.file)
			return p, err
		}
		if _, err := in.Seek(0, io.SeekStart); err != nil {
			return p, err
		}
	}
	return p, b.compress(ctx, in, p.file)
}

// packDelta compresses the content of a delta and returns its list.
func (b *builder) packDelta(ctx context.Context, diff delta, image io.ReaderAt, file string) (string, error) {
	read, write := io.Pipe()
	var digest string
	group, both := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		digest, err = diff.write(write, image)
		write.CloseWithError(err)
		return err
	})
	group.Go(func() error {
		err := b.compress(both, read, file)
		read.CloseWithError(err)
		return err
	})
	err := group.Wait()
	return diff.list(digest), err
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
