// Package repotest makes small trees and OSTree repositories for tests. The
// repositories come from the ostree program, which also judges what our code
// makes of them.
package repotest

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Tree makes a tree of all that a commit can hold: setuid and sticky bits,
// foreign owners, extended attributes, file capabilities, links of both kinds,
// empty files, long and non-ASCII names, and a file of several MiB. It takes
// root.
func Tree(t testing.TB) string {
	t.Helper()
	testkit.NeedRoot(t)
	root := t.TempDir()
	file := func(name, content string, mode uint32, uid int) {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		require.NoError(t, os.Chown(path, uid, uid))
		require.NoError(t, unix.Chmod(path, mode))
	}
	file("usr/bin/tool", "#!/bin/sh\n", 0o755, 0)
	file("usr/bin/su", "setuid\n", 0o4755, 0)
	file("usr/bin/ping", "capable\n", 0o755, 0)
	file("usr/bin/game", "setgid\n", 0o2711, 4242)
	file("usr/lib/empty", "", 0o644, 0)
	file("usr/lib/empty-too", "", 0o644, 0)
	file("usr/lib/secret", "sesame\n", 0o000, 0)
	file("usr/share/copy-1", "the same\n", 0o644, 0)
	file("usr/share/copy-2", "the same\n", 0o644, 0)
	file("usr/share/owner", "nobody knows\n", 0o640, 1_000_000)
	file("usr/share/"+strings.Repeat("long/", 60)+"Grüße", "far away\n", 0o644, 0)
	file("usr/etc/app.conf", "key=value\n", 0o600, 0)
	file("usr/lib/modules/6.6/vmlinuz", Noise(5<<20+17), 0o755, 0)
	require.NoError(t, os.Link(filepath.Join(root, "usr/bin/tool"), filepath.Join(root, "usr/bin/tool-hard")))
	for name, target := range map[string]string{
		"usr/bin/sh": "tool", "bin": "usr/bin", "ostree": "sysroot/ostree",
		"usr/lib/dangling": "/no//where/../at/all", "usr/lib/" + strings.Repeat("n", 200): strings.Repeat("t/", 300),
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(root, name)))
	}
	for _, dir := range []string{"sysroot", "boot", "var", "tmp"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, dir), 0o755))
	}
	require.NoError(t, unix.Chmod(filepath.Join(root, "tmp"), 0o1777))
	attr := func(name, key string, value []byte) {
		require.NoError(t, unix.Lsetxattr(filepath.Join(root, name), key, value, 0), key)
	}
	attr("usr/bin/ping", "security.capability", capability(1<<13)) // cap_net_raw
	attr("usr/bin/tool", "user.note", []byte("short"))
	attr("usr/share/owner", "user.big", []byte(Noise(1000)))
	attr("usr/share/owner", "user.empty", nil)
	attr("var", "user.dir", []byte("on a directory"))
	return root
}

// capability is the on-disk form of file capabilities, revision 2, effective.
func capability(bits uint32) []byte {
	v := binary.LittleEndian.AppendUint32(nil, 0x02000001)
	v = binary.LittleEndian.AppendUint32(v, bits)
	return append(v, make([]byte, 12)...)
}

// Noise is n bytes that are the same each time and half compressible.
func Noise(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		if i%1024 < 512 {
			b[i] = byte(r.Uint32())
		}
	}
	return string(b)
}

// Init makes an empty repository of the mode.
func Init(t testing.TB, mode string) string {
	t.Helper()
	return InitAt(t, filepath.Join(t.TempDir(), "repo"), mode)
}

// InitAt makes an empty repository that outlives the test.
func InitAt(t testing.TB, dir, mode string) string {
	t.Helper()
	testkit.NeedTool(t, "ostree")
	Ostree(t, "init", "--repo="+dir, "--mode="+mode)
	// Flushing the disk of the machine is what a test must not wait for.
	Ostree(t, "config", "--repo="+dir, "set", "core.fsync", "false")
	return dir
}

// Commit commits the tree to the repository, always at the same time, and
// returns the checksum.
func Commit(t testing.TB, repo, tree string, more ...string) string {
	t.Helper()
	args := append([]string{"commit", "--repo=" + repo, "--branch=test", "--tree=dir=" + tree, "--fsync=0",
		"--timestamp=@1700000000", "--add-metadata-string=version=24.03.1", "--add-metadata=ostree.bootable=true",
		"--add-metadata-string=ostree.linux=6.6", "--add-metadata=ostree.container-cmd=['/sbin/init','--now']"}, more...)
	return strings.TrimSpace(Ostree(t, args...))
}

// Ostree runs the program and returns its output.
func Ostree(t testing.TB, args ...string) string {
	t.Helper()
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "ostree", Args: args})
	require.NoError(t, err)
	return string(out)
}

// List is all that ostree says of a commit's paths: mode, owner, size,
// checksum, extended attributes.
func List(t testing.TB, repo, commit string) string {
	t.Helper()
	return Ostree(t, "ls", "--repo="+repo, "-R", "-C", "-X", commit)
}
