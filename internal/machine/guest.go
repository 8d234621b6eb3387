// Package machine runs a guest under qemu: from a disk image that stays
// untouched, with a watched serial console, an Ignition config, a way in by
// ssh, and an end that leaves nothing behind.
package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/crypto/ssh"

	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
)

// ErrEnded is the cause of whatever ended because the guest did.
var ErrEnded = errors.New("the guest has powered off")

// Guest is a running virtual machine. Close it.
type Guest struct {
	UUID    string
	SSHPort int // on the loopback interface
	Accel   Accel

	console *Console
	input   *os.File // to the serial console
	signer  ssh.Signer
	config  []byte // what it was handed over
	process tool.Process
	monitor *monitor
	scratch string
	stop    context.CancelFunc
	ended   chan struct{}
	err     error // how qemu ended, once ended is closed
	closing sync.Once
}

// Start starts a guest and returns as soon as qemu runs it. The guest ends
// when ctx does. A reboot of the guest is not its end.
func Start(ctx context.Context, r tool.Runner, log *progress.Log, o Options) (*Guest, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	accel, err := Accelerator(ctx, r, log, o.Arch)
	if err != nil {
		return nil, err
	}
	g := &Guest{UUID: uuid.NewString(), Accel: accel, ended: make(chan struct{})}
	if g.scratch, err = os.MkdirTemp(o.Scratch, "nosa-guest-"); err != nil {
		return nil, err
	}
	if err := g.start(ctx, r, log, o); err != nil {
		os.RemoveAll(g.scratch)
		return nil, fmt.Errorf("guest %s: %w", o.Name, err)
	}
	return g, nil
}

func (g *Guest) start(ctx context.Context, r tool.Runner, log *progress.Log, o Options) error {
	l := layout{Options: o, accel: g.Accel, uuid: g.UUID}
	if err := g.prepareDisks(ctx, r, &l); err != nil {
		return err
	}
	config, err := g.prepareIgnition(log, &l)
	if err != nil {
		return err
	}
	if err := g.handOver(ctx, r, &l, config); err != nil {
		return err
	}
	// The path of a socket must fit into some hundred bytes, which one below a
	// work directory may not.
	sockets, err := os.MkdirTemp("", "nosa-qmp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(sockets) // an open connection needs no name
	l.qmpSocket = filepath.Join(sockets, "qmp")
	ctx, g.stop = context.WithCancel(ctx)
	if l.sockets, err = g.serveBinds(ctx, r, o.Binds, sockets); err != nil {
		g.stop()
		return err
	}
	if l.tpmSocket, err = g.startTPM(ctx, r, o.TPM, sockets); err != nil {
		g.stop()
		return err
	}
	if o.Primary.NBD && l.primary != "" {
		if l.primary, err = g.serveDisk(ctx, r, l.primary, sockets); err != nil {
			g.stop()
			return err
		}
	}

	stdin, input, err := os.Pipe()
	if err != nil {
		g.stop()
		return err
	}
	defer stdin.Close()
	consoleFile, sinks, err := openSinks(o)
	if err != nil {
		g.stop()
		input.Close()
		return err
	}
	g.input, g.console = input, newConsole(sinks...)
	process, err := r.Start(ctx, tool.Cmd{
		Name: "qemu-system-" + o.Arch.QEMU, Args: l.args(), Stdin: stdin, Stdout: g.console,
	})
	if err != nil {
		g.stop()
		input.Close()
		consoleFile.Close()
		return err
	}
	g.process = process
	go func() {
		g.err = process.Wait()
		consoleFile.Close()
		close(g.ended)
	}()
	if err := g.connectMonitor(ctx, l.qmpSocket); err != nil {
		g.Close()
		if failed, ok := errors.AsType[*tool.Error](g.err); ok {
			return failed
		}
		return err
	}
	return nil
}

// openSinks opens what console output goes to.
func openSinks(o Options) (io.Closer, []io.Writer, error) {
	var sinks []io.Writer
	if o.Console != nil {
		sinks = append(sinks, o.Console)
	}
	if o.ConsoleFile == "" {
		return io.NopCloser(nil), sinks, nil
	}
	f, err := os.Create(o.ConsoleFile)
	if err != nil {
		return nil, nil, err
	}
	return f, append(sinks, f), nil
}

// monitorTime is how long qemu may take from its start to a talking monitor; it reads
// a saved guest's memory before.
const monitorTime = 2 * time.Minute

func (g *Guest) connectMonitor(ctx context.Context, socket string) error {
	ctx, stop := g.whileAlive(ctx)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, monitorTime, errors.New("qemu's monitor does not answer"))
	defer cancel()
	m, err := dialMonitor(ctx, socket)
	if err != nil {
		return err
	}
	g.monitor = m
	g.SSHPort, err = m.sshPort(ctx)
	return err
}

// whileAlive derives a context that ends when qemu does.
func (g *Guest) whileAlive(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-g.ended:
			cancel(ErrEnded)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// WhileHealthy derives a context that ends also when the guest does (cause
// ErrEnded) or its console shows a failure (cause a *FatalError).
func (g *Guest) WhileHealthy(ctx context.Context) (context.Context, func()) {
	ctx, stop := g.whileAlive(ctx)
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-g.console.Failed():
			cancel(g.console.Err())
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil); stop() }
}

// Pause lets the guest stand still, and so take no processor, until Resume.
func (g *Guest) Pause(ctx context.Context) error {
	_, err := g.monitor.command(ctx, "stop", nil)
	return err
}

// Resume lets a guest go on that was paused.
func (g *Guest) Resume(ctx context.Context) error {
	_, err := g.monitor.command(ctx, "cont", nil)
	return err
}

// Ended is closed when qemu has ended.
func (g *Guest) Ended() <-chan struct{} { return g.ended }

// Err is how qemu ended: nil after an orderly power-off. Call it only after
// Ended.
func (g *Guest) Err() error { return g.err }

// Explain adds the end of the console to an error for a person.
func (g *Guest) Explain(err error) error { return g.console.withTail(err) }

// PowerOff presses the power button and waits at most limit for the guest to
// end by itself.
func (g *Guest) PowerOff(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit,
		fmt.Errorf("the guest did not power off within %s", limit))
	defer cancel()
	if _, err := g.monitor.command(ctx, "system_powerdown", nil); err != nil {
		return err
	}
	select {
	case <-g.ended:
		return g.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close stops the guest if it still runs, waits for qemu's end, and removes all
// it used. It may be called more than once.
func (g *Guest) Close() {
	g.closing.Do(func() {
		g.stop()
		<-g.ended
		g.input.Close()
		if g.monitor != nil {
			g.monitor.close()
		}
		os.RemoveAll(g.scratch)
	})
}
