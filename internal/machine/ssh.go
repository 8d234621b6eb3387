package machine

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"golang.org/x/crypto/ssh"
)

// SSH is a connection to a guest, as User. Close it.
type SSH struct {
	client *ssh.Client
}

// Output is what a command left.
type Output struct {
	Stdout, Stderr []byte
	Status         int // exit status; 128 + N after signal N, as shells have it
}

const (
	answerWait = 10 * time.Second // for the first word of sshd; under emulation it is slow
	loginTime  = 15 * time.Second // for all that follows
	dialPause  = time.Second      // between two attempts
	maxDials   = 5                // attempts at a time; sshd answers each
)

// Connect waits for the guest's sshd and logs in. It ends early when the guest
// ends or its console shows a failure; with ctx, whose cause the error carries
// together with what the last attempt said.
//
// qemu accepts before the guest has a network, and then asks the guest at longer and
// longer intervals. So attempts begin whatever became of those before; the first that
// sshd answers goes on to log in.
func (g *Guest) Connect(ctx context.Context) (*SSH, error) {
	ctx, stop := g.WhileHealthy(ctx)
	defer stop()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(g.SSHPort))
	var last error
	for {
		s, err := login(ctx, address, g.signer)
		if err == nil {
			g.console.loggedIn()
			return s, nil
		}
		if !errors.Is(err, context.Cause(ctx)) {
			last = err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for ssh: %w", g.why(ctx, last))
		case <-time.After(dialPause):
		}
	}
}

// answered opens connections until a server begins to speak on one. When ctx ends it
// says what the last one came to.
func answered(ctx context.Context, address string) (net.Conn, error) {
	dials, cancel := context.WithCancel(ctx)
	defer cancel()
	type outcome struct {
		conn net.Conn
		err  error
	}
	outcomes := make(chan outcome)
	attempt := func() {
		conn, err := dial(dials, address)
		select {
		case outcomes <- outcome{conn, err}:
		case <-dials.Done():
			if err == nil {
				conn.Close()
			}
		}
	}
	next := time.NewTicker(dialPause)
	defer next.Stop()
	last := error(nil)
	go attempt()
	for open := 1; ; {
		select {
		case o := <-outcomes:
			if o.err == nil {
				return o.conn, nil
			}
			open, last = open-1, o.err
		case <-next.C:
			if open < maxDials {
				open++
				go attempt()
			}
		case <-ctx.Done():
			if last == nil {
				last = context.Cause(ctx)
			}
			return nil, last
		}
	}
}

// dial opens a connection and waits for the first byte from the other side.
func dial(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	release := context.AfterFunc(ctx, func() { conn.Close() })
	in := bufio.NewReader(conn)
	_, err = in.Peek(1)
	if !release() || err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	return peeked{conn, in}, nil
}

// peeked is a connection of which something was read ahead.
type peeked struct {
	net.Conn
	in *bufio.Reader
}

func (p peeked) Read(b []byte) (int, error) { return p.in.Read(b) }

// why says why a wait for sshd ended, and what kept it from answering.
func (g *Guest) why(ctx context.Context, last error) error {
	err := context.Cause(ctx)
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	if why := diagnose(g.console.text(), last); why != "" {
		return fmt.Errorf("%w: %s", err, why)
	}
	if last != nil {
		return fmt.Errorf("%w (%v)", err, last)
	}
	return err
}

// login logs in once.
func login(ctx context.Context, address string, key ssh.Signer) (*SSH, error) {
	conn, err := answered(ctx, address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, loginTime)
	defer cancel()
	release := context.AfterFunc(ctx, func() { conn.Close() })
	c, channels, requests, err := ssh.NewClientConn(conn, address, &ssh.ClientConfig{
		User: User,
		Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
		// The guest made its host key a moment ago, and the way to it is a
		// port of the loopback interface that qemu holds.
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), //nolint:gosec // see above
	})
	if !release() || err != nil {
		conn.Close()
		if err == nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	return &SSH{client: ssh.NewClient(c, channels, requests)}, nil
}

// Close ends the connection and all that runs over it.
func (s *SSH) Close() error { return s.client.Close() }

// Run runs a command line in the login shell. A status other than 0 is no
// error; an error means that the command did not run to its end. A nil stdin
// is empty.
func (s *SSH) Run(ctx context.Context, command string, stdin io.Reader) (Output, error) {
	var stdout, stderr bytes.Buffer
	status, err := s.Stream(ctx, command, stdin, &stdout, &stderr)
	return Output{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), Status: status}, err
}

// Ask runs a command that answers at once, if at all. A guest that went down under
// the connection answers nothing and does not end it either: then there is an error
// after the limit, and the connection is closed.
func (s *SSH) Ask(ctx context.Context, limit time.Duration, command string) (Output, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
	defer cancel()
	return s.Run(ctx, command, nil)
}

// Stream does as Run and passes the output on as it comes.
func (s *SSH) Stream(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	session, done, err := s.session(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	session.Stdin, session.Stdout, session.Stderr = stdin, stdout, stderr
	status, err := exitStatus(ctx, session.Run(command))
	if err != nil {
		return 0, fmt.Errorf("ssh: %.80q: %w", command, err)
	}
	return status, nil
}

// session opens a session that ends with ctx.
func (s *SSH) session(ctx context.Context) (*ssh.Session, func(), error) {
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	// A guest that hangs answers nothing, not even a request to close: only
	// the end of the connection is sure to end a wait.
	release := context.AfterFunc(ctx, func() { s.client.Close() })
	session, err := s.client.NewSession()
	if err != nil {
		release()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, nil, fmt.Errorf("ssh session: %w", err)
	}
	return session, func() { release(); session.Close() }, nil
}

// exitStatus sorts how a command ended from why it did not.
func exitStatus(ctx context.Context, err error) (int, error) {
	if err == nil {
		return 0, nil
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if exit, ok := errors.AsType[*ssh.ExitError](err); ok {
		return exit.ExitStatus(), nil
	}
	return 0, err
}
