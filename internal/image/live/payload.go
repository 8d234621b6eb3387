package live

import (
	"context"
	"fmt"
	"path/filepath"

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
	buildID string
}

// info is what the installer must know before it reads a payload: digest and
// size of the image, size of its sectors, and the build, as words of one line.
func (p packed) info() string {
	return fmt.Sprintf("%s %d %d %s\n", p.SHA256, p.Size, p.Kind.Traits().SectorSize, p.buildID)
}

// packPayloads waits for the payloads and compresses them.
func (b *builder) packPayloads(ctx context.Context) ([]packed, error) {
	payloads, err := b.Payloads(ctx)
	if err != nil {
		return nil, err
	}
	level := "-3" // higher ones save little, and compete with mksquashfs
	if b.Fast {
		level = "-1"
	}
	var all []packed
	for _, p := range payloads {
		file := filepath.Join(b.Scratch, string(p.Kind)+".raw.zst")
		_, err := b.run.Run(ctx, tool.Cmd{Name: "zstd", Args: []string{"-q", "-T0", level, "--no-progress", "-o", file, p.Path}})
		if err != nil {
			return nil, fmt.Errorf("compressing the %s image: %w", p.Kind, err)
		}
		all = append(all, packed{Payload: p, file: file, buildID: b.Sysroot.BuildID})
	}
	return all, nil
}
