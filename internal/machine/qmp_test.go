package machine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeMonitor answers each command with what answers has for it; nothing else
// is answered at all.
func fakeMonitor(t *testing.T, answers map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qmp")
	listener, err := net.Listen("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		fmt.Fprintln(conn, `{"QMP":{"version":{}}}`)
		in := bufio.NewScanner(conn)
		for in.Scan() {
			var request struct{ Execute string }
			_ = json.Unmarshal(in.Bytes(), &request)
			fmt.Fprintln(conn, `{"event":"RTC_CHANGE","data":{}}`)
			if answer, ok := answers[request.Execute]; ok {
				fmt.Fprintln(conn, answer)
			}
		}
	}()
	return path
}

func TestMonitorFindsTheForwardedPort(t *testing.T) {
	m, err := dialMonitor(t.Context(), fakeMonitor(t, map[string]string{
		"qmp_capabilities": `{"return":{}}`,
		"human-monitor-command": `{"return":"Hub -1 (net0):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n` +
			`  TCP[HOST_FORWARD]  12       127.0.0.1 42431       10.0.2.15    22     0     0\r\n"}`,
		"system_powerdown": `{"error":{"class":"GenericError","desc":"no button"}}`,
	}))
	require.NoError(t, err)
	defer m.close()
	port, err := m.sshPort(t.Context())
	require.NoError(t, err)
	require.Equal(t, 42431, port)
	_, err = m.command(t.Context(), "system_powerdown", nil)
	require.EqualError(t, err, "qemu monitor: system_powerdown: no button")
}

func TestMonitorThatDoesNotAnswerIsLeft(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errors.New("too slow"))
	defer cancel()
	_, err := dialMonitor(ctx, fakeMonitor(t, nil))
	require.EqualError(t, err, "too slow")
	_, err = dialMonitor(ctx, filepath.Join(t.TempDir(), "none"))
	require.EqualError(t, err, "too slow")
}
