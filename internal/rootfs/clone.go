package rootfs

import (
	"context"
	"fmt"
	"os"

	"github.com/nestos/nosa-actions/internal/tool"
)

// Copy copies the tree to root, sharing blocks where the file system can, so
// that scripts may change the copy while the original serves further composes.
// Of names that share a file each gets its own: they may do so only because
// their content happens to be the same.
func (t *Tree) Copy(ctx context.Context, root string) (*Tree, error) {
	if err := os.RemoveAll(root); err != nil {
		return nil, err
	}
	_, err := t.Run.Run(ctx, tool.Cmd{
		Name: "cp", Args: []string{"--archive", "--no-preserve=links", "--reflink=auto", "--", t.Root, root},
	})
	if err != nil {
		return nil, fmt.Errorf("copy the unpacked packages: %w", err)
	}
	return &Tree{Root: root, Run: t.Run, Epoch: t.Epoch}, nil
}

// Overlay gives a tree at root that has the original's files without a copy of
// them: it is an overlay file system, which takes what is changed to a place of
// its own. Where none can be mounted it is a copy. Close must be called; Settle
// makes a plain directory of it.
func (t *Tree) Overlay(ctx context.Context, root string) (*Tree, error) {
	m, err := mountOverlay(t.Root, root)
	if err != nil {
		return t.Copy(ctx, root)
	}
	return &Tree{Root: root, Run: t.Run, Epoch: t.Epoch, overlay: m}, nil
}

// Settle makes a plain directory of a tree that is an overlay: files that are
// the original's are hard links to it, which must not be written to. Other trees
// stay as they are.
func (t *Tree) Settle() error {
	if t.overlay == nil {
		return nil
	}
	if err := t.overlay.settle(); err != nil {
		return fmt.Errorf("gather the tree from its layers: %w", err)
	}
	t.overlay = nil
	return nil
}

// Close takes the mount away, if there is one. It may be called twice.
func (t *Tree) Close() error {
	if t.overlay == nil {
		return nil
	}
	err := t.overlay.unmount()
	t.overlay = nil
	return err
}
