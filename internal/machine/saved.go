package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/nestos/nosa-actions/internal/tool"
)

// Saved is what is left of a guest: its disk and, if it was saved while it ran,
// its memory. Guests with the same options can start from it, any number of
// times. The disk lies over the image, which has to stay.
type Saved struct {
	Disk    string // qcow2
	running bool
	signer  ssh.Signer
	config  []byte
}

// savedState names a running guest within its disk.
const savedState = "nosa"

// Save writes the state of the running guest, which stands still meanwhile, to a
// new file. It works for guests under BIOS without a TPM and directories of the
// host, since those keep state elsewhere.
func (g *Guest) Save(ctx context.Context, r tool.Runner, path string) (Saved, error) {
	if err := g.Pause(ctx); err != nil {
		return Saved{}, err
	}
	s := Saved{Disk: path, running: true, signer: g.signer, config: g.config}
	err := g.monitor.human(ctx, "savevm "+savedState)
	if err == nil {
		err = copySparse(ctx, r, filepath.Join(g.scratch, "primary.qcow2"), path)
	}
	if err == nil {
		err = g.monitor.human(ctx, "delvm "+savedState)
	}
	return s, errors.Join(err, g.Resume(ctx))
}

// killTime is how long a killed qemu may take to go.
const killTime = 30 * time.Second

// Crash ends the guest as a power cut does, between two instructions, and keeps
// its disk as path. What the guest had not flushed is lost as from a disk with
// a volatile cache.
func (g *Guest) Crash(path string) (Saved, error) {
	if err := g.process.Signal(syscall.SIGKILL); err != nil {
		return Saved{}, err
	}
	select {
	case <-g.ended:
	case <-time.After(killTime):
		return Saved{}, fmt.Errorf("qemu did not end within %s of being killed", killTime)
	}
	if err := os.Rename(filepath.Join(g.scratch, "primary.qcow2"), path); err != nil {
		return Saved{}, err
	}
	return Saved{Disk: path, signer: g.signer, config: g.config}, nil
}

func (s *Saved) copyTo(ctx context.Context, r tool.Runner, path string) error {
	return copySparse(ctx, r, s.Disk, path)
}

func copySparse(ctx context.Context, r tool.Runner, from, to string) error {
	_, err := r.Run(ctx, tool.Cmd{Name: "cp", Args: []string{"--reflink=auto", "--sparse=always", "--", from, to}})
	return err
}
