package inside

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/nestos/nosa-actions/internal/assembler/container"
)

// reserve is what an engine gets beyond the command's grace to take a container
// down.
const reserve = 20 * time.Second

// Listener is the outer end of one container.
type Listener struct {
	dir    string // private, with the socket
	lock   *os.File
	socket *net.UnixListener
	grace  time.Duration
	output [2]*os.File
	copies sync.WaitGroup
	init   string
}

// Listen makes the outer end for a run of spec. The program is a nosa-init; it
// must be linked statically, since it runs in any image.
func Listen(program string, spec container.RunSpec) (*Listener, error) {
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("find nosa-init: %w", err)
	}
	dir, lock, err := makeDir()
	if err != nil {
		return nil, err
	}
	l := &Listener{dir: dir, lock: lock, grace: spec.Grace, init: program}
	if l.grace == 0 {
		l.grace = container.DefaultGrace
	}
	l.socket, err = listen(l.socketFile())
	if err == nil {
		err = os.Chmod(l.socketFile(), 0o666) // the command's user is any; the directory is ours alone
	}
	for i, w := range []io.Writer{spec.Stdout, spec.Stderr} {
		if err == nil {
			l.output[i], err = l.file(w)
		}
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// listen copes with paths that are too long for a socket's address.
func listen(path string) (*net.UnixListener, error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	short := fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // by then the short path is another's
	return l, nil
}

func (l *Listener) socketFile() string { return filepath.Join(l.dir, "s") }

// file gives what a process can write to.
func (l *Listener) file(w io.Writer) (*os.File, error) {
	if w == nil {
		return os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	r, p, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	l.copies.Go(func() {
		defer r.Close()
		_, _ = io.Copy(w, r)
	})
	return p, nil
}

// Mounts are what Init needs in the container.
func (l *Listener) Mounts() []container.Mount {
	return []container.Mount{
		{Source: l.init, Target: initPath, ReadOnly: true},
		{Source: l.socketFile(), Target: socketPath},
	}
}

// Command is what the engine must start instead of command.
func (l *Listener) Command(command []string) []string {
	return append([]string{initPath}, command...)
}

// Close removes what Listen made. The output has been written when it returns.
func (l *Listener) Close() {
	if l.socket != nil {
		_ = l.socket.Close()
	}
	for _, f := range l.output {
		if f != nil {
			_ = f.Close()
		}
	}
	l.copies.Wait()
	_ = os.RemoveAll(l.dir)
	_ = l.lock.Close()
}

// Runtime is the engine's part of a container that runs.
type Runtime struct {
	Ended <-chan error // gives how the engine ended, once
	Kill  func()       // takes the container down at once
}

// Wait waits until the command and the engine have ended, and reports as
// container.Engine's Run does.
func (l *Listener) Wait(ctx context.Context, rt Runtime) error {
	type accepted struct {
		conn *net.UnixConn
		err  error
	}
	first := make(chan accepted, 1)
	go func() {
		conn, err := l.socket.AcceptUnix()
		first <- accepted{conn, err}
	}()
	select {
	case err := <-rt.Ended:
		if err == nil {
			err = errors.New("the engine started nothing")
		}
		return &container.RuntimeError{Err: err}
	case <-ctx.Done():
		_ = l.socket.Close() // an Init that comes now finds nobody and ends
		rt.Kill()
		<-rt.Ended
		return context.Cause(ctx)
	case got := <-first:
		if got.err != nil {
			rt.Kill()
			<-rt.Ended
			return &container.RuntimeError{Err: got.err}
		}
		defer got.conn.Close()
		return l.follow(ctx, got.conn, rt)
	}
}

// follow is Wait once Init has called.
func (l *Listener) follow(ctx context.Context, conn *net.UnixConn, rt Runtime) error {
	told := make(chan error, 1)
	go func() { told <- l.converse(conn) }()
	var result error
	select {
	case result = <-told:
	case <-ctx.Done():
		_ = conn.CloseWrite() // asks Init to stop the command
		select {
		case <-told:
		case <-time.After(l.grace + reserve):
		}
		result = context.Cause(ctx)
	}
	select {
	case err := <-rt.Ended:
		if lost, ok := errors.AsType[*container.RuntimeError](result); ok && err != nil {
			lost.Err = fmt.Errorf("%w: %w", lost.Err, err)
		}
	case <-time.After(reserve):
		rt.Kill()
		<-rt.Ended
	}
	return result
}

// converse gives the order and reads how the command ended.
func (l *Listener) converse(conn *net.UnixConn) error {
	text, err := json.Marshal(order{Grace: l.grace})
	if err != nil {
		return err
	}
	rights := syscall.UnixRights(int(l.output[0].Fd()), int(l.output[1].Fd()))
	if _, _, err := conn.WriteMsgUnix(text, rights, nil); err != nil {
		return &container.RuntimeError{Err: err}
	}
	for i, f := range l.output { // the container's ends are the only ones now
		_ = f.Close()
		l.output[i] = nil
	}
	var end ending
	if err := json.NewDecoder(conn).Decode(&end); err != nil {
		return &container.RuntimeError{Err: errors.New("the container ended without a word, as when its first process is killed")}
	}
	switch {
	case end.Failed != "":
		return &container.CommandError{Reason: end.Failed}
	case end.Signal != 0:
		return &container.SignalError{Signal: syscall.Signal(end.Signal)}
	case end.Exit != 0:
		return &container.ExitError{Code: end.Exit}
	}
	return nil
}
