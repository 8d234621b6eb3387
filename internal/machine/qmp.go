package machine

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// monitor is a connection to qemu's machine protocol (docs/interop/qmp-spec of
// QEMU): one JSON object a line, each command answered in turn, with events in
// between.
type monitor struct {
	conn net.Conn
	in   *bufio.Scanner
}

// dialMonitor connects as soon as qemu has made the socket.
func dialMonitor(ctx context.Context, path string) (*monitor, error) {
	for {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", path)
		if err == nil {
			m := &monitor{conn: conn, in: bufio.NewScanner(conn)}
			m.in.Buffer(nil, 1<<20)
			if _, err := m.command(ctx, "qmp_capabilities", nil); err != nil {
				conn.Close()
				return nil, err
			}
			return m, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (m *monitor) close() { m.conn.Close() }

// human runs a command of qemu's monitor for people that says nothing when all
// went well. It may take longer than the others.
func (m *monitor) human(ctx context.Context, line string) error {
	answer, err := m.commandWithin(ctx, savingTime, "human-monitor-command", map[string]string{"command-line": line})
	if err != nil {
		return err
	}
	var text string
	if err := json.Unmarshal(answer, &text); err != nil {
		return fmt.Errorf("qemu monitor: %s: %w", line, err)
	}
	if text = strings.TrimSpace(text); text != "" {
		return fmt.Errorf("qemu monitor: %s: %s", line, text)
	}
	return nil
}

// savingTime is how long writing a guest's memory may take.
const savingTime = 10 * time.Minute

// answerTime is how long qemu may take to answer.
const answerTime = 30 * time.Second

// command runs one command and returns what it answers.
func (m *monitor) command(ctx context.Context, name string, arguments any) (json.RawMessage, error) {
	return m.commandWithin(ctx, answerTime, name, arguments)
}

func (m *monitor) commandWithin(ctx context.Context, limit time.Duration, name string, arguments any) (json.RawMessage, error) {
	request := map[string]any{"execute": name}
	if arguments != nil {
		request["arguments"] = arguments
	}
	data, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	if err := m.conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}
	// A cancelled context ends the exchange by way of the deadline, which must
	// not be moved again after that.
	defer context.AfterFunc(ctx, func() { _ = m.conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := m.conn.Write(append(data, '\n')); err != nil {
		return nil, fmt.Errorf("qemu monitor: %s: %w", name, err)
	}
	for m.in.Scan() {
		var answer struct {
			Return json.RawMessage
			Error  *struct{ Desc string }
		}
		if err := json.Unmarshal(m.in.Bytes(), &answer); err != nil {
			return nil, fmt.Errorf("qemu monitor: %s: %w", name, err)
		}
		switch {
		case answer.Error != nil:
			return nil, fmt.Errorf("qemu monitor: %s: %s", name, answer.Error.Desc)
		case answer.Return != nil:
			return answer.Return, nil
		} // else the greeting or an event
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := m.in.Err(); err != nil {
		return nil, fmt.Errorf("qemu monitor: %s: %w", name, err)
	}
	return nil, fmt.Errorf("qemu monitor: %s: qemu has ended", name)
}

// forwarded matches a line of "info usernet":
//
//	Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
//	TCP[HOST_FORWARD]  12       127.0.0.1 42431       10.0.2.15    22     0     0
var forwarded = regexp.MustCompile(`TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+22\s`)

// sshPort asks which port of the host leads to the guest's sshd.
func (m *monitor) sshPort(ctx context.Context) (int, error) {
	answer, err := m.command(ctx, "human-monitor-command", map[string]string{"command-line": "info usernet"})
	if err != nil {
		return 0, err
	}
	var text string
	if err := json.Unmarshal(answer, &text); err != nil {
		return 0, fmt.Errorf("qemu monitor: info usernet: %w", err)
	}
	match := forwarded.FindStringSubmatch(text)
	if match == nil {
		return 0, fmt.Errorf("qemu monitor: no forwarded ssh port in %q", text)
	}
	return strconv.Atoi(match[1])
}
