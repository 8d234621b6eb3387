package machine

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/tool"
)

// serveDisk starts a qemu-nbd that holds a qcow2 file, and returns its socket below
// dir. It ends with the guest, or with ctx.
func (g *Guest) serveDisk(ctx context.Context, r tool.Runner, path, dir string) (string, error) {
	socket := filepath.Join(dir, "nbd")
	p, err := r.Start(ctx, tool.Cmd{Name: "qemu-nbd", Args: []string{
		"--socket=" + socket, "--format=qcow2", "--cache=unsafe", "--discard=unmap", "--", path,
	}})
	if err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Wait() }()
	if err := waitForSocket(ctx, socket, ended); err != nil {
		return "", fmt.Errorf("network block device: %w", err)
	}
	return socket, nil
}
