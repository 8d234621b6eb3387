package rootfs

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
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
	stdin  io.Reader // nil: empty
	live   io.Writer // receives what the program says, as it says it
	out    io.Writer // receives standard output in place of live
	nodes  bool      // may make device nodes, as dracut does for an initramfs

	view             string // stands for the tree, which is read-only then; empty: the tree
	shared, sharedAt string // directory outside the tree, and where it is seen and can be written

	// packages makes it the sandbox of packages' scripts: they find themselves
	// on an OSTree system, do not see the rpm database, share a directory
	// /var/lib/rpm-state, and get a systemctl that changes files only. The
	// other fields are files and directories outside the tree for that.
	packages                bool
	state, empty, systemctl string
}

// scriptPath is where a sandboxed script finds itself.
const scriptPath = "/run/nosa-script"

// The wrapped systemctl of packages' scripts, and where it finds the real one.
const (
	realSystemctl    = "/run/nosa-systemctl"
	systemctlWrapper = `#!/bin/sh
# Nothing runs in a tree under construction: only what changes files gets through.
for word in "$@"; do
  case $word in
  preset | enable | disable | --root | --root=*) exec ` + realSystemctl + ` "$@" ;;
  esac
done
echo "systemctl: left out in a compose: $*"
`
)

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

// capabilities are those that scripts need: to set owners, modes and
// capabilities of files, to become another user. Not: mount, modules, network,
// clock, raw devices, device nodes.
var capabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID",
	"CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_SETFCAP", "CAP_SYS_CHROOT",
}

func (t *Tree) run(ctx context.Context, s sandbox, argv ...string) error {
	made, err := t.mountPoints(s)
	defer removeDirs(made)
	if err != nil {
		return err
	}
	root, bind := t.Root, "--bind"
	if s.view != "" {
		root, bind = s.view, "--ro-bind"
	}
	args := []string{
		bind, root, "/",
		bind, filepath.Join(root, "etc"), "/usr/etc",
		"--ro-bind", filepath.Join(root, "var"), "/var",
		"--tmpfs", "/var/tmp", "--tmpfs", "/tmp", "--tmpfs", "/run",
		"--proc", "/proc", "--dev", "/dev",
		"--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts",
		"--die-with-parent", "--new-session", "--chdir", "/", "--clearenv",
		"--cap-drop", "ALL",
	}
	allowed := capabilities
	if s.nodes {
		allowed = append(slices.Clone(allowed), "CAP_MKNOD")
	}
	for _, capability := range allowed {
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
	if s.shared != "" {
		args = append(args, "--bind", s.shared, s.sharedAt)
	}
	if s.packages {
		args = append(args, t.packageArgs(s)...)
	}
	cmd := tool.Cmd{Name: "bwrap", Args: append(append(args, "--"), argv...), Stdin: s.stdin, Stdout: s.live, Stderr: s.live}
	if s.live == nil {
		cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	}
	if s.out != nil {
		cmd.Stdout = s.out
	}
	// Scripts report on both streams; the error shows the last of either.
	_, err = t.Run.Run(ctx, cmd)
	return err
}

// packageArgs are bubblewrap's arguments for scripts of packages.
func (t *Tree) packageArgs(s sandbox) []string {
	args := []string{
		"--bind", s.state, "/var/lib/rpm-state",
		"--tmpfs", DBPath,
		"--ro-bind", s.empty, "/run/ostree-booted",
	}
	const systemctl = "/usr/bin/systemctl"
	real := filepath.Join(t.Root, systemctl)
	if info, err := os.Lstat(real); err == nil && info.Mode().IsRegular() {
		args = append(args, "--ro-bind", real, realSystemctl, "--ro-bind", s.systemctl, systemctl)
	}
	return args
}

// mountPoints makes the directories that a sandbox mounts on and returns those
// that have no place in the tree, the deepest first.
func (t *Tree) mountPoints(s sandbox) (made []string, err error) {
	for _, dir := range []string{"etc", "var", "run", "tmp", "proc", "dev"} {
		if err := os.MkdirAll(filepath.Join(t.Root, dir), 0o755); err != nil {
			return nil, err
		}
	}
	temporary := []string{"usr/etc", "var/tmp"}
	if s.packages {
		temporary = append(temporary, "var/lib", "var/lib/rpm-state", strings.TrimPrefix(DBPath, "/"))
	}
	for _, dir := range temporary {
		path := filepath.Join(t.Root, dir)
		if _, err := os.Lstat(path); err == nil && dir != "usr/etc" {
			continue
		}
		if err := os.MkdirAll(path, 0o755); err != nil {
			return made, err
		}
		made = slices.Insert(made, 0, path)
	}
	return made, nil
}

// removeDirs removes directories that are still empty.
func removeDirs(paths []string) {
	for _, path := range paths {
		_ = os.Remove(path)
	}
}
