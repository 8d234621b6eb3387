package machine

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/crypto/ssh"
	"golang.org/x/term"
)

// Shell gives the person at the terminal a login shell in the guest and returns
// its exit status.
func (s *SSH) Shell(ctx context.Context, terminal *os.File, out, errOut io.Writer) (int, error) {
	session, done, err := s.session(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	fd := int(terminal.Fd())
	width, height, err := term.GetSize(fd)
	if err != nil {
		return 0, fmt.Errorf("terminal size: %w", err)
	}
	name := os.Getenv("TERM")
	if name == "" {
		name = "vt220"
	}
	if err := session.RequestPty(name, height, width, ssh.TerminalModes{}); err != nil {
		return 0, fmt.Errorf("ssh: terminal: %w", err)
	}
	session.Stdin, session.Stdout, session.Stderr = terminal, out, errOut
	restore, err := raw(terminal)
	if err != nil {
		return 0, err
	}
	defer restore()
	defer followSize(terminal, func(width, height int) { _ = session.WindowChange(height, width) })()
	if err := session.Shell(); err != nil {
		return 0, fmt.Errorf("ssh: shell: %w", err)
	}
	return exitStatus(ctx, session.Wait())
}

// escapeKey leaves the console: Ctrl-], as in telnet and virsh.
const escapeKey = 0x1d

// Attach connects the person at the terminal to the guest's serial console
// until the guest ends, the person presses Ctrl-], or ctx ends. What the
// console says must go to the terminal by Options.Console.
func (g *Guest) Attach(ctx context.Context, terminal *os.File) error {
	restore, err := raw(terminal)
	if err != nil {
		return err
	}
	defer restore()
	left := make(chan struct{})
	go func() {
		defer close(left)
		typeInto(g.input, terminal)
	}()
	select {
	case <-left:
		return nil
	case <-g.ended:
		return g.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// typeInto copies keys until the escape key, the end of the input, or a guest
// that no longer listens.
func typeInto(guest io.Writer, keys io.Reader) {
	buf := make([]byte, 256)
	for {
		n, err := keys.Read(buf)
		for i, key := range buf[:n] {
			if key == escapeKey {
				_, _ = guest.Write(buf[:i])
				return
			}
		}
		if _, werr := guest.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// raw hands the terminal's keys through unprocessed, until restore.
func raw(terminal *os.File) (restore func(), err error) {
	state, err := term.MakeRaw(int(terminal.Fd()))
	if err != nil {
		return nil, fmt.Errorf("raw terminal: %w", err)
	}
	return func() { _ = term.Restore(int(terminal.Fd()), state) }, nil
}

// followSize reports the terminal's new size whenever it changes, until stop.
func followSize(terminal *os.File, resize func(width, height int)) (stop func()) {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	go func() {
		for range changed {
			if width, height, err := term.GetSize(int(terminal.Fd())); err == nil {
				resize(width, height)
			}
		}
	}()
	return func() { signal.Stop(changed); close(changed) }
}
