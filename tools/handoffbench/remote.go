package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

// remote sends our packs, which are there already, and the plain directories to
// the artifact server and fetches them again.
func (b *bench) remote(ctx context.Context, ours, plain *way) error {
	ours.bytes = 0
	for _, part := range parts {
		if err := b.artifact(ctx, ours, "ours-"+part, b.packed(part), 0); err != nil {
			return err
		}
		if err := b.artifact(ctx, plain, "plain-"+part, filepath.Join(b.src, part), 6); err != nil {
			return err
		}
	}
	return nil
}

// artifact uploads and downloads once, at the action's level of compression.
func (b *bench) artifact(ctx context.Context, w *way, name, path string, level int) error {
	dst, err := b.fresh("downloaded")
	if err != nil {
		return err
	}
	err = inOrder(
		b.timed(ctx, &w.upload, "upload "+name, func() error { return b.service.Upload(ctx, name, path, level) }),
		b.timed(ctx, &w.download, "download", func() error { return b.service.Download(ctx, name, dst) }),
	)
	if err != nil {
		return err
	}
	size, err := b.service.Size(name)
	w.bytes += size
	return errors.Join(err, os.RemoveAll(dst))
}
