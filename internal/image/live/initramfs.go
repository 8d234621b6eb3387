package live

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/format/document"
)

// makeInitramfs puts the kernel and its initramfs into the tree. The initramfs
// is the build's own with one more archive at its end, which tells it that it is
// a live system, of which build, and what its root must be.
func (b *builder) makeInitramfs(rootfsHash string) error {
	if err := copyFile(filepath.Join(b.tree, kernelPath), filepath.Join(b.kernel, "vmlinuz")); err != nil {
		return err
	}
	features, err := b.features()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.tree, "nestos/features.json"), features, 0o644); err != nil {
		return err
	}
	var more bytes.Buffer
	compressed, err := gzip.NewWriterLevel(&more, gzip.BestCompression)
	if err != nil {
		return err
	}
	archive := newArchive(compressed)
	err = errors.Join(
		archive.file("etc/nestos-live-initramfs", b.Sysroot.BuildID+"\n"),
		archive.file("etc/nestos-live-want-rootfs", rootfsHash),
		archive.file("etc/nestos/features.json", string(features)),
		archive.Close(), compressed.Close(),
	)
	if err != nil {
		return err
	}
	initrd := filepath.Join(b.tree, initramfsPath)
	if err := copyFile(initrd, filepath.Join(b.kernel, "initramfs.img")); err != nil {
		return err
	}
	return appendAligned(initrd, more.Bytes())
}

// appendAligned appends an archive where the kernel looks for one: at a multiple
// of four bytes, which the whole then is as well.
func appendAligned(path string, more []byte) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	text := append(make([]byte, -size&3), more...)
	if _, err := f.Write(append(text, make([]byte, -len(more)&3)...)); err != nil {
		return err
	}
	return f.Close()
}

// exampleConfig lists, by its keys, what the tree's installer can be told.
const exampleConfig = "usr/share/nestos-installer/example-config.yaml"

// features is what installers and the tools that customise ISOs may rely on.
func (b *builder) features() ([]byte, error) {
	features := map[string]any{"installer-config": true, "live-initrd-network": true}
	path := filepath.Join(b.Sysroot.Deployment, exampleConfig)
	text, err := os.ReadFile(path)
	if err == nil {
		doc, err := document.Parse(exampleConfig, text)
		if err != nil {
			return nil, fmt.Errorf("the tree's installer: %w", err)
		}
		directives := map[string]bool{}
		for _, field := range doc.Fields {
			directives[field.Key] = true
		}
		features["installer-config-directives"] = directives
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return prettyJSON(features)
}

// prettyJSON is JSON with sorted keys, indented by two, with a final newline.
func prettyJSON(v any) ([]byte, error) {
	text, err := json.MarshalIndent(v, "", "  ")
	return append(text, '\n'), err
}

// copyFile makes a new file with mode 0644.
func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return errors.Join(out.Chmod(0o644), out.Close())
}
