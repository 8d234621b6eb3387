// Package run boots an image for a person, who gets a shell in it by ssh or on
// its console. The image is not changed.
package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/kola"
	"github.com/nestos/nosa-actions/internal/machine"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// Options describe the guest and the way into it. The zero value gives a shell
// by ssh in the newest build's qemu image.
type Options struct {
	Build    string   // id; empty: the newest
	Image    string   // disk image to boot instead of a build's
	Ignition string   // Ignition config
	Butane   string   // Butane config, instead of Ignition
	Direct   bool     // pass the Ignition config untouched; excludes ssh
	Command  string   // run this by ssh instead of a shell
	Console  bool     // the serial console instead of ssh
	Hostname string   // default: nosa-devsh
	Disks    []string // additional ones, as SIZE[:OPTION,...]

	MemoryMiB   int
	CPUs        int
	DiskGiB     int // grows the disk
	Firmware    machine.Firmware
	ConsoleFile string   // receives the console's output
	NICs        int      // additional network cards
	BindRO      []string // DIR,PATH: directories of the host that the guest sees
	BindRW      []string // ... and may write to

	Kargs          []string // added for every boot
	FirstbootKargs string   // added for the first boot
	Inject         bool     // leave the config on the boot partition
	ExtraArgs      []string // verbatim for qemu
}

const (
	sshTime   = 5 * time.Minute  // from power-on to ssh
	powerTime = 30 * time.Second // from the power button to the end
)

// Run boots the guest and returns when the person is done with it: at the end
// of the shell or command, when the guest powers off, or with ctx. The status
// is that of the shell or command. A terminal is needed but for a command.
func Run(ctx context.Context, r tool.Runner, log *progress.Log, dir *workdir.Dir, o Options, in io.Reader, out, errOut io.Writer) (status int, err error) {
	terminal, err := o.terminal(in)
	if err != nil {
		return 0, err
	}
	options, err := o.machine(dir)
	if err != nil {
		return 0, err
	}
	if o.Console {
		options.Console = out
	}
	guest, err := machine.Start(ctx, r, log, options)
	if err != nil {
		return 0, err
	}
	defer guest.Close()
	if o.Console {
		log.Notef("Press Ctrl-] to leave the guest.")
		return 0, guest.Attach(ctx, terminal)
	}
	status, err = o.session(ctx, log, guest, terminal, out, errOut)
	if errors.Is(err, machine.ErrEnded) {
		return 0, guest.Err()
	}
	if err == nil {
		// The overlay goes anyway; a guest that will not end is no failure.
		_ = guest.PowerOff(ctx, guest.Accel.Scale(powerTime))
	}
	return status, err
}

// session is the shell or the command by ssh.
func (o Options) session(ctx context.Context, log *progress.Log, guest *machine.Guest, terminal *os.File, out, errOut io.Writer) (int, error) {
	step := log.Step("boot %s", filepath.Base(o.Image))
	defer step.Stop()
	limit := guest.Accel.Scale(sshTime)
	wait, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("sshd did not answer within %s", limit))
	defer cancel()
	s, err := guest.Connect(wait)
	var fatal *machine.FatalError
	switch {
	case errors.Is(err, machine.ErrEnded), ctx.Err() != nil:
		return 0, err
	case errors.As(err, &fatal):
		return 0, fmt.Errorf("%w\nnosa run --devshell-console shows the console and lets you look around", guest.Explain(err))
	case err != nil:
		return 0, guest.Explain(err)
	}
	defer s.Close()
	step.Done("")
	alive, stop := guest.WhileHealthy(ctx)
	defer stop()
	var status int
	if o.Command != "" {
		status, err = s.Stream(alive, o.Command, nil, out, errOut)
	} else {
		status, err = s.Shell(alive, terminal, out, errOut)
	}
	if err != nil && alive.Err() == nil {
		// A guest that powers off cuts the connection first.
		select {
		case <-guest.Ended():
			return 0, machine.ErrEnded
		case <-alive.Done():
			return 0, context.Cause(alive)
		case <-time.After(guest.Accel.Scale(powerTime)):
		}
	}
	return status, err
}

// terminal is the person's terminal, or nil where none is needed.
func (o Options) terminal(in io.Reader) (*os.File, error) {
	switch {
	case o.Command != "" && o.Console:
		return nil, errors.New("a command by ssh and the console exclude each other")
	case o.Ignition != "" && o.Butane != "":
		return nil, errors.New("an Ignition and a Butane config exclude each other")
	case o.Direct && (o.Ignition == "" || !o.Console):
		return nil, errors.New("an untouched config needs --ignition, and --devshell-console, because nobody could log in by ssh")
	case o.Command != "":
		return nil, nil
	}
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f, nil
	}
	return nil, errors.New("a shell needs a terminal; use --ssh-command to run a command without one")
}

// machine turns the options into those of the guest.
func (o *Options) machine(dir *workdir.Dir) (machine.Options, error) {
	out := machine.Options{
		Name: "nosa-run", MemoryMiB: o.MemoryMiB, CPUs: o.CPUs, DiskGiB: o.DiskGiB, Firmware: o.Firmware,
		NICs: o.NICs, KernelArgs: strings.Join(o.Kargs, " "), FirstbootKernelArgs: o.FirstbootKargs, InjectIgnition: o.Inject,
		TPM: machine.TPMIfThere, Hostname: o.Hostname, Autologin: true, Direct: o.Direct, ConsoleFile: o.ConsoleFile, ExtraArgs: o.ExtraArgs,
	}
	if out.Hostname == "" {
		out.Hostname = "nosa-devsh"
	}
	var err error
	if out.Arch, out.Image, err = o.image(dir); err != nil {
		return out, err
	}
	o.Image = out.Image
	for _, spec := range o.Disks {
		disk, err := machine.ParseDisk(spec)
		if err != nil {
			return out, err
		}
		out.Disks = append(out.Disks, disk)
	}
	if out.Binds, err = o.binds(); err != nil {
		return out, err
	}
	for _, path := range []string{o.Ignition, o.Butane} {
		if path == "" {
			continue
		}
		config, _, err := kola.ReadConfig(path)
		if err != nil {
			return out, err
		}
		out.Configs = append(out.Configs, config)
	}
	return out, nil
}

// binds are the directories of the host that the guest sees.
func (o *Options) binds() ([]machine.Bind, error) {
	var out []machine.Bind
	for i, spec := range slices.Concat(o.BindRO, o.BindRW) {
		b, err := machine.ParseBind(spec, i >= len(o.BindRO))
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	if len(out) > 0 && o.Direct {
		return nil, errors.New("directories of the host need a config of ours, so that an untouched one excludes them")
	}
	return out, nil
}

func (o *Options) image(dir *workdir.Dir) (arch.Arch, string, error) {
	if o.Image != "" {
		if dir != nil {
			return dir.Arch, o.Image, nil
		}
		host, err := arch.Host()
		return host, o.Image, err
	}
	if dir == nil {
		return arch.Arch{}, "", errors.New("neither a work directory nor an image to boot")
	}
	build, err := dir.Build(o.Build)
	if err != nil {
		return arch.Arch{}, "", err
	}
	_, path, err := build.Image("qemu")
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; run nosa buildextend-qemu first", err)
	}
	return dir.Arch, path, err
}
