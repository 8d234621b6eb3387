package kola

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// agentIn is the agent with its paths moved below a directory, where systemctl
// is a script that answers from the files state, sub and job; show is counted.
func agentIn(t *testing.T, onStart string) (dir, text string) {
	t.Helper()
	dir = t.TempDir()
	systemctl := `#!/bin/bash
case $1 in
start) ` + onStart + ` ;;
show)
  case $3 in
  --property=Job) cat "$DIR/job" 2>/dev/null || true ;;
  --property=ActiveState) cat "$DIR/state" ;;
  --property=SubState) cat "$DIR/sub" ;;
  --property=Result) cat "$DIR/result" ;;
  --property=ExecMainCode) echo 1 ;;
  --property=ExecMainStatus) cat "$DIR/status" ;;
  esac ;;
esac
`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "systemctl"), []byte(systemctl), 0o755))
	text = strings.ReplaceAll(agent, "/tmp/", dir+"/")
	return dir, strings.ReplaceAll(text, "/run/", dir+"/")
}

func runAgent(t *testing.T, dir, text string) turn {
	t.Helper()
	testkit.NeedTool(t, "bash")
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{
		Name: "bash", Args: []string{"-s"}, Stdin: strings.NewReader(text),
		Env: []string{"DIR=" + dir, "PATH=" + dir + ":" + os.Getenv("PATH")},
	})
	require.NoError(t, err)
	var got turn
	require.NoError(t, json.Unmarshal(lastLine(out), &got), "%s", out)
	return got
}

const ends = `echo active > "$DIR/state"; echo exited > "$DIR/sub"; echo success > "$DIR/result"; echo 0 > "$DIR/status"`

func TestAgentReportsTheEnd(t *testing.T) {
	dir, text := agentIn(t, ends)
	got := runAgent(t, dir, text)
	require.Empty(t, got.Reboot)
	require.Equal(t, "exited", got.Result.SubState)
	require.NoError(t, (&session{}).verdict(t.Context(), "kola-runext.service", got))
}

func TestAgentWaitsForAQueuedStart(t *testing.T) {
	dir, text := agentIn(t, `echo inactive > "$DIR/state"; echo dead > "$DIR/sub"; echo 42 > "$DIR/job"
		(sleep 1.5; `+ends+`; : > "$DIR/job") >/dev/null 2>&1 &`)
	require.Equal(t, "active", runAgent(t, dir, text).Result.ActiveState)
}

func TestAgentReportsAReboot(t *testing.T) {
	dir, text := agentIn(t, `echo active > "$DIR/state"; echo running > "$DIR/sub"
		"$DIR/autopkgtest-reboot-prepare" 'second "half"' >/dev/null 2>&1 & echo $! > "$DIR/pid"`)
	begin := time.Now()
	require.Equal(t, `second "half"`, runAgent(t, dir, text).Reboot)
	require.Less(t, time.Since(begin), 10*time.Second)
	// The test goes on only when it is given leave.
	require.NoError(t, os.WriteFile(filepath.Join(dir, "kolet-reboot-ack"), []byte("\n"), 0))
}

func TestASharedGuestIsNotRebooted(t *testing.T) {
	dir, text := agentIn(t, `"$DIR/autopkgtest-reboot-prepare" mark 2>"$DIR/said" || true; `+ends)
	got := runAgent(t, dir, "export KOLA_SHARED=1\n"+text)
	require.Empty(t, got.Reboot)
	require.Equal(t, "exited", got.Result.SubState)
	said, err := os.ReadFile(filepath.Join(dir, "said"))
	require.NoError(t, err)
	require.Contains(t, string(said), "may not reboot it; say exclusive: true")
}
