// Package imagetest makes what tests of images begin with: a tree that boots in
// no time, as a commit, and machines that tell whether it was reached.
package imagetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Ref is the branch of the commits.
const Ref = "nestos/x86_64/test"

// Host runs a program and returns its output without the final newline.
func Host(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: name, Args: args})
	require.NoError(t, err, "%s %s", name, strings.Join(args, " "))
	return strings.TrimSuffix(string(out), "\n")
}

// SmallTree is a tree as the compose stage commits it, with this machine's GRUB
// and the tiny kernel.
func SmallTree(t testing.TB) string {
	t.Helper()
	tree := filepath.Join(t.TempDir(), "tree")
	dirs := []string{
		"boot", "dev", "proc", "run", "sys", "sysroot", "tmp", "var",
		"usr/bin", "usr/etc/skel", "usr/lib/modules/6.1.0-tiny", "usr/lib/grub", "usr/share/empty",
	}
	for _, dir := range dirs {
		require.NoError(t, os.MkdirAll(filepath.Join(tree, dir), 0o755))
	}
	files := map[string]string{
		"usr/lib/modules/6.1.0-tiny/vmlinuz":       string(TinyKernel()),
		"usr/lib/modules/6.1.0-tiny/initramfs.img": strings.Repeat("initramfs", 1000),
		"usr/lib/os-release":                       "NAME=\"NestOS Test\"\nID=\"nestos\"\nVERSION_ID=1\nPRETTY_NAME=\"NestOS Test 1\"\nOSTREE_VERSION=1.0\n",
		"usr/etc/hostname":                         "localhost\n",
		"usr/bin/tool":                             "#!/bin/sh\n",
		"usr/share/big":                            strings.Repeat("0123456789abcdef", 1<<16),
	}
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(tree, name), []byte(content), 0o644))
	}
	require.NoError(t, os.Chmod(filepath.Join(tree, "usr/bin/tool"), os.ModeSetuid|0o755))
	require.NoError(t, os.Chown(filepath.Join(tree, "usr/etc/skel"), 7, 8))
	require.NoError(t, os.Symlink("os-release", filepath.Join(tree, "usr/lib/release")))
	for _, link := range []string{"bin", "lib"} {
		require.NoError(t, os.Symlink("usr/"+link, filepath.Join(tree, link)))
	}
	require.NoError(t, os.Symlink("sysroot/ostree", filepath.Join(tree, "ostree")))
	for _, modules := range []string{"i386-pc", "x86_64-efi"} {
		if _, err := os.Stat("/usr/lib/grub/" + modules); err != nil {
			testkit.Miss(t, "no GRUB on this machine; on Debian and Ubuntu: apt-get install grub-pc-bin grub-efi-amd64-bin")
		}
		Host(t, "cp", "-r", "/usr/lib/grub/"+modules, filepath.Join(tree, "usr/lib/grub"))
	}
	return tree
}

// Commit puts a tree into a new repository in archive mode below dir.
func Commit(t testing.TB, dir, tree string) (repo, checksum string) {
	t.Helper()
	testkit.NeedRoot(t)
	testkit.NeedTool(t, "ostree")
	repo = filepath.Join(dir, "repo")
	Host(t, "ostree", "init", "--repo="+repo, "--mode=archive")
	checksum = Host(t, "ostree", "commit", "--repo="+repo, "--branch="+Ref, "--fsync=false", "--add-metadata-string=version=1.0",
		"--add-metadata-string=ostree.bootable=1", "--tree=dir="+tree)
	return repo, checksum
}
