package rootfs

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/nestos/nosa-actions/internal/tool"
)

// sandbox runs a program inside the tree as the packages' and the config's
// scripts may expect it: /etc and /usr/etc are the same, /usr and /etc can be
// written, /var cannot but for /var/tmp, /run and /tmp are its own and empty,
// there is no network, and nothing of the host is to be seen.
type sandbox struct {
	env    []string  // added to a small fixed environment, NAME=VALUE
	script string    // file outside the tree, seen as scriptPath
	live   io.Writer // receives what the program says, as it says it
}

// scriptPath is where a sandboxed script finds itself.
const scriptPath = "/run/nosa-script"

// scriptEnv is the whole environment of scripts. SYSTEMD_OFFLINE makes
// systemctl work on the files alone and ignore start and stop.
var scriptEnv = [][2]string{
	{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"},
	{"HOME", "/root"},
	{"LANG", "C.UTF-8"},
	{"TMPDIR", "/tmp"},
	{"SYSTEMD_OFFLINE", "1"},
	{"DEBIAN_FRONTEND", "noninteractive"},
}

// capabilities are those that scripts of packages need: to set owners, modes
// and capabilities of files, to become another user. Not: mount, modules,
// network, clock, raw devices.
var capabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID",
	"CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_SETFCAP", "CAP_SYS_CHROOT", "CAP_MKNOD",
}

func (t *Tree) run(ctx context.Context, s sandbox, argv ...string) error {
	for _, dir := range []string{"etc", "usr/etc", "var/tmp", "run", "tmp", "proc", "dev"} {
		if err := os.MkdirAll(filepath.Join(t.Root, dir), 0o755); err != nil {
			return err
		}
	}
	args := []string{
		"--bind", t.Root, "/",
		"--bind", filepath.Join(t.Root, "etc"), "/usr/etc",
		"--ro-bind", filepath.Join(t.Root, "var"), "/var",
		"--tmpfs", "/var/tmp", "--tmpfs", "/tmp", "--tmpfs", "/run",
		"--proc", "/proc", "--dev", "/dev",
		"--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts",
		"--die-with-parent", "--new-session", "--chdir", "/", "--clearenv",
		"--cap-drop", "ALL",
	}
	for _, capability := range capabilities {
		args = append(args, "--cap-add", capability)
	}
	for _, pair := range scriptEnv {
		args = append(args, "--setenv", pair[0], pair[1])
	}
	for _, pair := range s.env {
		name, value, _ := strings.Cut(pair, "=")
		args = append(args, "--setenv", name, value)
	}
	if s.script != "" {
		args = append(args, "--ro-bind", s.script, scriptPath)
	}
	args = append(append(args, "--"), argv...)
	out := s.live
	if out == nil {
		out = io.Discard
	}
	// Scripts report on both streams; the error shows the last of either.
	_, err := t.Run.Run(ctx, tool.Cmd{
		Name: "bwrap", Args: args, Stdout: out, Stderr: out,
	})
	_ = os.Remove(filepath.Join(t.Root, "usr/etc")) // only the mount point, empty
	return err
}
