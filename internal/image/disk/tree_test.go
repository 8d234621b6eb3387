package disk_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

const ref = "nestos/x86_64/test"

// host runs a program and returns its output without the final newline.
func host(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: name, Args: args})
	require.NoError(t, err, "%s %s", name, strings.Join(args, " "))
	return strings.TrimSuffix(string(out), "\n")
}

// smallTree is a tree as the compose stage commits it, with this machine's GRUB
// and the tiny kernel.
func smallTree(t testing.TB) string {
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
		"usr/lib/modules/6.1.0-tiny/vmlinuz":       string(tinyKernel()),
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
		host(t, "cp", "-r", "/usr/lib/grub/"+modules, filepath.Join(tree, "usr/lib/grub"))
	}
	return tree
}

// commit puts a tree into a new repository in archive mode below dir.
func commit(t testing.TB, dir, tree string) (repo, checksum string) {
	t.Helper()
	testkit.NeedRoot(t)
	testkit.NeedTool(t, "ostree")
	repo = filepath.Join(dir, "repo")
	host(t, "ostree", "init", "--repo="+repo, "--mode=archive")
	checksum = host(t, "ostree", "commit", "--repo="+repo, "--branch="+ref, "--fsync=false", "--add-metadata-string=version=1.0",
		"--add-metadata-string=ostree.bootable=1", "--tree=dir="+tree)
	return repo, checksum
}

// shared is the small tree's commit, made by the first test that wants it and
// read by all.
var shared struct{ dir, repo, checksum string }

func smallCommit(t testing.TB) (repo, checksum string) {
	t.Helper()
	if shared.checksum == "" {
		require.NoError(t, os.RemoveAll(shared.dir)) // of a test that failed half-way
		dir, err := os.MkdirTemp("", "disk-test-")
		require.NoError(t, err)
		shared.dir = dir
		shared.repo, shared.checksum = commit(t, dir, smallTree(t))
	}
	return shared.repo, shared.checksum
}

func TestMain(m *testing.M) {
	status := m.Run()
	if shared.dir != "" {
		os.RemoveAll(shared.dir)
	}
	os.Exit(status)
}
