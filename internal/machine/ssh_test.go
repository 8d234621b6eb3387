package machine

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
)

// sshd is a server that lets only one key in as User and runs a command by
// calling handle, whose result is the exit status; a negative one means no
// answer at all.
func sshd(t *testing.T, key ssh.PublicKey, handle func(command string, channel ssh.Channel) int) string {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	host, err := ssh.NewSignerFromKey(private)
	require.NoError(t, err)
	config := &ssh.ServerConfig{PublicKeyCallback: func(c ssh.ConnMetadata, got ssh.PublicKey) (*ssh.Permissions, error) {
		if c.User() == User && string(got.Marshal()) == string(key.Marshal()) {
			return nil, nil
		}
		return nil, errors.New("who are you?")
	}}
	config.AddHostKey(host)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn, config, handle)
		}
	}()
	return listener.Addr().String()
}

func serve(conn net.Conn, config *ssh.ServerConfig, handle func(string, ssh.Channel) int) {
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for newChannel := range channels {
		channel, requests, err := newChannel.Accept()
		if err != nil {
			return
		}
		go func() {
			for request := range requests {
				if request.Type != "exec" {
					_ = request.Reply(false, nil)
					continue
				}
				_ = request.Reply(true, nil)
				var exec struct{ Command string }
				_ = ssh.Unmarshal(request.Payload, &exec)
				if status := handle(exec.Command, channel); status >= 0 {
					_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status)}))
					channel.Close()
				}
			}
		}()
	}
}

func loggedIn(t *testing.T, handle func(string, ssh.Channel) int) *SSH {
	t.Helper()
	key, _, err := newKey()
	require.NoError(t, err)
	s, err := login(t.Context(), sshd(t, key.PublicKey(), handle), key)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSSHRunKeepsOutputsApart(t *testing.T) {
	s := loggedIn(t, func(command string, c ssh.Channel) int {
		in, _ := io.ReadAll(c)
		_, _ = io.WriteString(c, command+"<"+string(in))
		_, _ = io.WriteString(c.Stderr(), "complaint")
		return 3
	})
	out, err := s.Run(t.Context(), "a command", strings.NewReader("input"))
	require.NoError(t, err)
	require.Equal(t, Output{Stdout: []byte("a command<input"), Stderr: []byte("complaint"), Status: 3}, out)
	out, err = s.Run(t.Context(), "again", nil)
	require.NoError(t, err)
	require.Equal(t, "again<", string(out.Stdout))
}

func TestSSHRunEndsWithItsContext(t *testing.T) {
	s := loggedIn(t, func(string, ssh.Channel) int { return -1 })
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errors.New("the test did not end"))
	defer cancel()
	_, err := s.Run(ctx, "hang", nil)
	require.EqualError(t, err, `ssh: "hang": the test did not end`)
	_, err = s.Run(ctx, "more", nil)
	require.ErrorContains(t, err, "the test did not end")
}

// A reboot leaves connections that are neither cut nor alive.
func TestSSHAskDoesNotWaitForAGuestThatWentDown(t *testing.T) {
	s := loggedIn(t, func(string, ssh.Channel) int { return -1 })
	_, err := s.Ask(t.Context(), 50*time.Millisecond, "cat boot_id")
	require.EqualError(t, err, `ssh: "cat boot_id": no answer within 50ms`)
	_, err = s.Ask(t.Context(), time.Minute, "again")
	require.Error(t, err, "the connection is closed")
}

func TestSSHRunReportsACutConnection(t *testing.T) {
	s := loggedIn(t, func(_ string, c ssh.Channel) int { c.Close(); return -1 })
	_, err := s.Run(t.Context(), "x", nil)
	require.ErrorContains(t, err, `ssh: "x": `)
}

func TestLoginIsRefusedWithAnotherKey(t *testing.T) {
	right, _, err := newKey()
	require.NoError(t, err)
	wrong, _, err := newKey()
	require.NoError(t, err)
	_, err = login(t.Context(), sshd(t, right.PublicKey(), nil), wrong)
	require.ErrorContains(t, err, "unable to authenticate")
}

func TestDialGivesUpOnASilentServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // as qemu: accepts, says nothing
	require.NoError(t, err)
	defer listener.Close()
	key, _, err := newKey()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = login(ctx, listener.Addr().String(), key)
	require.Error(t, err)
}

// qemu holds a connection that began before the guest had a network.
func TestAnAttemptThatHangsDoesNotHoldUpTheNext(t *testing.T) {
	key, _, err := newKey()
	require.NoError(t, err)
	behind := sshd(t, key.PublicKey(), nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		for n := 0; ; n++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			if n == 0 {
				continue
			}
			guest, err := net.Dial("tcp", behind)
			if err != nil {
				return
			}
			defer guest.Close()
			go func() { _, _ = io.Copy(guest, conn) }()
			go func() { _, _ = io.Copy(conn, guest) }()
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), answerWait/2)
	defer cancel()
	s, err := login(ctx, listener.Addr().String(), key)
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

func TestConsoleKeysUntilTheEscapeKey(t *testing.T) {
	var guest strings.Builder
	typeInto(&guest, io.MultiReader(strings.NewReader("ls\r"), strings.NewReader("exit\r\x1dmore")))
	require.Equal(t, "ls\rexit\r", guest.String())
}
