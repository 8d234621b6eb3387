package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/tool"
)

// startTPM starts swtpm with an empty state below the guest's scratch directory,
// and returns its socket below dir, or "" for a guest without a TPM.
func (g *Guest) startTPM(ctx context.Context, r tool.Runner, want TPM, dir string) (string, error) {
	if want == NoTPM {
		return "", nil
	}
	state, socket := filepath.Join(g.scratch, "tpm"), filepath.Join(dir, "tpm")
	if err := os.Mkdir(state, 0o700); err != nil {
		return "", err
	}
	p, err := r.Start(ctx, tool.Cmd{Name: "swtpm", Args: []string{
		"socket", "--tpm2", "--tpmstate", "dir=" + state, "--ctrl", "type=unixio,path=" + socket, "--terminate",
	}})
	if _, missing := errors.AsType[*tool.MissingError](err); missing && want == TPMIfThere {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Wait() }()
	if err := waitForSocket(ctx, socket, ended); err != nil {
		return "", fmt.Errorf("trusted platform module: %w", err)
	}
	return socket, nil
}

// tpmArgs are qemu's options for a TPM behind a socket.
func (l layout) tpmArgs() []string {
	if l.tpmSocket == "" {
		return nil
	}
	device := "tpm-tis"
	if l.Arch.RPM == "aarch64" {
		device = "tpm-tis-device"
	}
	return []string{"-chardev", "socket,id=tpm,path=" + escapeOption(l.tpmSocket), "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", device + ",tpmdev=tpm0"}
}
