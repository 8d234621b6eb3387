package kola_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// The test of files has to fail where a file is wrong, and say which. It runs here
// with the host's find, which is led to another /usr and /etc.
func TestFilesystemTestFindsWhatIsWrong(t *testing.T) {
	testkit.NeedRoot(t)
	testkit.NeedTool(t, "bash", "find", "awk")
	find, err := exec.LookPath("find")
	require.NoError(t, err)
	for name, c := range map[string]struct {
		damage func(usr, etc string) error
		good   bool
		want   string
	}{
		"nothing":      {func(string, string) error { return nil }, true, "ok: modes, owners and labels\n"},
		"open file":    {func(_, etc string) error { return os.Chmod(filepath.Join(etc, "file"), 0o646) }, false, "everybody may write to:\n%/etc/file\n"},
		"open program": {func(usr, _ string) error { return os.Chmod(filepath.Join(usr, "file"), os.ModeSetuid|0o775) }, false, "others may write to what runs as its owner:\n%/usr/file\n"},
		"owner":        {func(usr, _ string) error { return os.Chown(filepath.Join(usr, "file"), 54321, 0) }, false, "no user or group of the system owns:\n%/usr/file\n"},
		"no etc":       {func(_, etc string) error { return os.RemoveAll(etc) }, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root, bin := t.TempDir(), t.TempDir()
			usr, etc := filepath.Join(root, "usr"), filepath.Join(root, "etc")
			for _, dir := range []string{usr, etc} {
				require.NoError(t, os.Mkdir(dir, 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
				require.NoError(t, os.Mkdir(filepath.Join(dir, "sticky"), 0o755))
				require.NoError(t, os.Chmod(filepath.Join(dir, "sticky"), os.ModeSticky|0o777))
			}
			require.NoError(t, c.damage(usr, etc))
			require.NoError(t, os.WriteFile(filepath.Join(bin, "find"), []byte("#!/bin/sh\nshift 2\nexec "+find+" '"+usr+"' '"+etc+"' \"$@\"\n"), 0o755))
			var out strings.Builder
			_, err := tool.Host{}.Run(t.Context(), tool.Cmd{
				Name: "bash", Args: []string{"-c", `PATH="$1:$PATH"; exec bash builtin/filesystem/test.sh`, "bash", bin}, Stdout: &out,
			})
			require.Equal(t, c.good, err == nil, "%v", err)
			require.Equal(t, strings.ReplaceAll(c.want, "%", root), out.String())
		})
	}
}
