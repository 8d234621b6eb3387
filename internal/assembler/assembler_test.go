package assembler_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/assembler"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/tool"
)

// host makes an assembler whose nosa is the given shell script.
func host(t *testing.T, script string) (assembler.Host, *[]string) {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "nosa")
	require.NoError(t, os.WriteFile(binary, []byte("#!/bin/sh\n"+script), 0o755))
	work, config := filepath.Join(dir, "work"), filepath.Join(dir, "config")
	require.NoError(t, os.MkdirAll(filepath.Join(work, "src"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(config, "manifests"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(config, "manifests", "base.yaml"), nil, 0o644))
	require.NoError(t, os.Symlink(config, filepath.Join(work, "src", "config")))
	var log []string
	return assembler.Host{Runner: tool.Host{}, Binary: binary, Workdir: work, Log: func(line string) { log = append(log, line) }}, &log
}

func TestAStageSeesNothingOfTheJob(t *testing.T) {
	h, log := host(t, "env; pwd; echo args: \"$@\"; tr '\\0' '\\n' </proc/self/cmdline")
	const secret = "s3cret"
	h.Environ = []string{"PATH=" + os.Getenv("PATH"), "HOME=/home/x", "TZ=UTC", "https_proxy=p:1"}
	for _, name := range []string{
		"GITHUB_TOKEN", "GH_TOKEN", "GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_WORKSPACE", "RUNNER_TEMP", "ACTIONS_RUNTIME_TOKEN",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN", "INPUT_TOKEN", "NOSA_INPUT_CONFIG", "NOSA_ACTIONS_BIN", "AWS_SECRET_ACCESS_KEY", "PATHX",
	} {
		h.Environ = append(h.Environ, name+"="+secret)
		t.Setenv(name, secret)
	}

	_, err := h.Run(t.Context(), assembler.Stage{Name: "build", Args: []string{"--strict", "a b", "$HOME"}})

	require.NoError(t, err)
	seen := strings.Join(*log, "\n")
	require.NotContains(t, seen, secret)
	for _, want := range []string{"HOME=/home/x", "TZ=UTC", "https_proxy=p:1", "LC_ALL=C.UTF-8", "args: build --strict a b $HOME", h.Workdir} {
		require.Contains(t, *log, want)
	}
}

func TestFindingsAreReadFromStandardError(t *testing.T) {
	h, log := host(t, `
echo "manifests/base.yaml:9:9: this is standard output"
cat >&2 <<EOF
reading manifest
manifests/base.yaml:12:5: unknown key "pakages"; did you mean "packages"?
src/config/manifests/base.yaml:3: warning: name is long
no-such-file.yaml:1:1: not a file of the config
../outside.yaml:1:1: outside
12:30:05: clock, not a finding
EOF
printf 'the last words' >&2
exit 3`)
	base := filepath.Join(filepath.Dir(h.Workdir), "config", "manifests", "base.yaml")
	want := []diag.Finding{
		{Pos: diag.Pos{File: base, Line: 12, Column: 5}, Message: `unknown key "pakages"; did you mean "packages"?`},
		{Pos: diag.Pos{File: base, Line: 3}, Severity: diag.Warning, Message: "name is long"},
	}

	got, err := h.Run(t.Context(), assembler.Stage{Name: "fetch"})

	require.Equal(t, want, got)
	require.EqualError(t, err, "nosa fetch: exit status 3: the last words")
	require.ElementsMatch(t, want, diag.Findings(err))
	var exit interface{ ExitCode() int }
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 3, exit.ExitCode())
	require.Len(t, *log, 8)
}

func TestAFailureWithoutFindingsSaysTheLastWords(t *testing.T) {
	h, _ := host(t, "echo error: broken >&2; kill -9 $$")

	_, err := h.Run(t.Context(), assembler.Stage{Name: "build"})

	require.EqualError(t, err, "nosa build: signal: killed: broken")
	require.Empty(t, diag.Findings(err))
}

func TestAMissingNosaIsNamed(t *testing.T) {
	h, _ := host(t, "")
	h.Binary += "x"
	_, err := h.Run(t.Context(), assembler.Stage{Name: "build"})
	require.ErrorContains(t, err, "find nosa: stat "+h.Binary)
}

func TestACancelStopsTheStageAndItsChildren(t *testing.T) {
	h, log := host(t, "sleep 300 & echo $!; wait")
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan int)
	h.Log = func(line string) {
		*log = append(*log, line)
		var pid int
		_, _ = fmt.Sscan(line, &pid)
		started <- pid
	}
	var pid int
	go func() { pid = <-started; cancel() }()

	_, err := h.Run(ctx, assembler.Stage{Name: "build"})

	require.ErrorIs(t, err, context.Canceled)
	require.Eventually(t, func() bool { return syscall.Kill(pid, 0) != nil || zombie(pid) }, 5*time.Second, 10*time.Millisecond)
}

// zombie tells a process that ended, and that nobody has waited for, from a
// running one.
func zombie(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(data), ") Z ")
}

func TestEndlessLinesAreCut(t *testing.T) {
	h, log := host(t, "head -c 200000 /dev/zero | tr '\\0' x")
	_, err := h.Run(t.Context(), assembler.Stage{Name: "build"})
	require.NoError(t, err)
	require.Len(t, *log, 4)
}
