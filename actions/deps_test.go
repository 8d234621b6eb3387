package actions

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// install runs tools/install-host-deps.sh on a machine that lacks one package, whose
// apt-get is the script. The script finds how often it was called so in $n, and its
// calls are returned.
func install(t *testing.T, apt string) (status int, log, calls string) {
	t.Helper()
	bin := t.TempDir()
	for name, text := range map[string]string{
		"apt-get":    "echo \"$@\" | sed 's/-qq\\|-o [^ ]*//g; s/^ *//' >>" + bin + "/calls\nn=$(wc -l <" + bin + "/calls)\n" + apt + "\n",
		"dpkg-query": "exit 1",
		"sudo":       "shift; exec \"$@\"",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text), 0o755))
	}
	cmd := exec.CommandContext(t.Context(), "../tools/install-host-deps.sh", "--with", "release")
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "NOSA_APT_TIMEOUT=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		require.IsType(t, &exec.ExitError{}, err)
	}
	made, err := os.ReadFile(filepath.Join(bin, "calls"))
	require.NoError(t, err)
	return cmd.ProcessState.ExitCode(), out.String(), string(made)
}

// A mirror of packages has bad moments, and bad days.
func TestPackagesOfTheHostAreAskedForAgain(t *testing.T) {
	const download, unpack = "install -y --no-install-recommends --download-only xz-utils\n", "install -y --no-install-recommends xz-utils\n"

	status, log, calls := install(t, "[ $n -gt 2 ] || exit 100")
	require.Zero(t, status, log)
	require.Equal(t, "update\nupdate\nupdate\n"+download+unpack, calls)
	require.Contains(t, log, "apt-get update ended with status 100; once more")

	status, log, calls = install(t, "case $* in *only*) exec sleep 600;; esac")
	require.Equal(t, 1, status)
	require.Equal(t, "update\n"+download+download+download, calls, "three tries of a second each")
	require.Contains(t, log, "apt-get install was not done after 1 seconds; look at the mirrors in /etc/apt, or take a machine that has: xz-utils")

	status, log, calls = install(t, "case $* in *update* | *only*) ;; *) exit 100;; esac")
	require.Equal(t, 1, status)
	require.Equal(t, "update\n"+download+unpack, calls, "dpkg is not run again on what it has broken")
	require.Contains(t, log, "apt-get install ended with status 100; look at")
}
