package inspect

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/imageconf"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// RecordsOf are what a build knows of one of its images; artifact may be empty for
// one that it does not know. The directory scratch takes a small file.
func RecordsOf(b workdir.Build, artifact, scratch string) (Records, error) {
	meta, err := b.View()
	if err != nil {
		return Records{}, err
	}
	r := Records{
		Build: meta.BuildID, Name: meta.Name, Commit: meta.OSTreeCommit, Ref: meta.Ref, Arch: b.Arch.RPM,
		ImageConfig: meta.ImageConfigChecksum,
	}
	kind := image.Kind(artifact)
	if t := kind.Traits(); t.Format != "" {
		r.Platform = t.Platform
		if t.Derived { // its own copy of what QEMU's has
			kind = image.QEMU
		}
		r.FileName = kind.FileName(meta.Name, meta.BuildID, b.Arch)
	}
	r.Platforms, err = platforms(b, scratch)
	return r, err
}

// configArchive is the config that a build was made from.
const configArchive = "coreos-assembler-config.tar.gz"

// maxTable bounds platforms.yaml, in bytes.
const maxTable = 1 << 20

// platforms reads the console table of the build's own config; nil where the
// config was not kept.
func platforms(b workdir.Build, scratch string) (imageconf.Platforms, error) {
	f, err := os.Open(b.Path(configArchive))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", configArchive, err)
	}
	in := tar.NewReader(unzipped)
	for {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", configArchive, err)
		}
		if filepath.Clean(head.Name) != "platforms.yaml" || head.Typeflag != tar.TypeReg {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(in, maxTable))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", configArchive, err)
		}
		copied := filepath.Join(scratch, "platforms.yaml")
		if err := os.WriteFile(copied, text, 0o600); err != nil {
			return nil, err
		}
		return imageconf.LoadPlatforms(copied)
	}
}
