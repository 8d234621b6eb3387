package rootfs

import (
	"context"
	"fmt"
	"os"

	"github.com/nestos/nosa-actions/internal/tool"
)

// Clone copies the tree to root, sharing blocks where the file system can, so
// that scripts may change the copy while the original serves further composes.
func (t *Tree) Clone(ctx context.Context, root string) (*Tree, error) {
	if err := os.RemoveAll(root); err != nil {
		return nil, err
	}
	_, err := t.Run.Run(ctx, tool.Cmd{Name: "cp", Args: []string{"--archive", "--reflink=auto", "--", t.Root, root}})
	if err != nil {
		return nil, fmt.Errorf("copy the unpacked packages: %w", err)
	}
	return &Tree{Root: root, Run: t.Run, Epoch: t.Epoch}, nil
}
