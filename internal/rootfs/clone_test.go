package rootfs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// original is a tree that clones are made of, with every kind of entry.
func original(t *testing.T) *Tree {
	testkit.NeedRoot(t)
	root := filepath.Join(t.TempDir(), "original")
	for name, text := range map[string]string{
		"etc/conf": "conf\n", "etc/sub/deep": "deep\n", "usr/bin/tool": "tool\n", "usr/bin/other": "other\n",
		"usr/lib/old/a": "a\n", "var/gone": "gone\n",
	} {
		put(t, root, name, text)
	}
	require.NoError(t, os.Symlink("tool", filepath.Join(root, "usr/bin/link")))
	require.NoError(t, os.Chown(filepath.Join(root, "usr/bin/tool"), 7, 8))
	require.NoError(t, unix.Chmod(filepath.Join(root, "usr/bin/tool"), 0o4755))
	require.NoError(t, unix.Setxattr(filepath.Join(root, "usr/bin/other"), "user.pax.flags", []byte("em"), 0))
	require.NoError(t, unix.Chmod(filepath.Join(root, "etc/sub"), 0o1777))
	return &Tree{Root: root, Run: tool.Host{}}
}

// change does to a tree what composes do: in place, by rename, by removal.
func change(t *testing.T, root string) {
	path := func(name string) string { return filepath.Join(root, name) }
	f, err := os.OpenFile(path("etc/conf"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("more\n")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, os.Chown(path("usr/bin/other"), 1, 1))
	require.NoError(t, os.RemoveAll(path("var")))
	require.NoError(t, os.Rename(path("usr/lib/old"), path("usr/lib/new")))
	require.NoError(t, os.Rename(path("etc"), path("usr/etc")))
	require.NoError(t, os.Link(path("usr/bin/tool"), path("usr/bin/tool2")))
	require.NoError(t, os.MkdirAll(path("new/dir"), 0o750))
	put(t, root, "new/dir/file", "new\n")
}

// listing is all that a commit takes from a tree.
func listing(t *testing.T, root string) string {
	out, err := exec.Command("sh", "-ec", `cd "$1"
		find . -mindepth 1 -printf '%P %M %U:%G %l\n' | sort
		find . -type f | sort | while read f; do echo "$f"; cat "$f"; done`, "sh", root).CombinedOutput()
	require.NoError(t, err, string(out))
	err = filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		names, _ := listXattrs(path)
		out = fmt.Appendf(out, "%s %q\n", strings.TrimPrefix(path, root), names)
		return err
	})
	require.NoError(t, err)
	return string(out)
}

func TestAClonesChangesStayInTheClone(t *testing.T) {
	testkit.NeedTool(t, "cp", "find")
	from := original(t)
	before := listing(t, from.Root)
	copied, err := from.Copy(t.Context(), filepath.Join(t.TempDir(), "copy"))
	require.NoError(t, err)
	require.Equal(t, before, listing(t, copied.Root))
	over, err := from.Overlay(t.Context(), filepath.Join(filepath.Dir(from.Root), "clone"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, over.Close()) })
	if over.overlay == nil {
		testkit.Miss(t, "no overlay file system can be mounted here")
	}
	require.Equal(t, before, listing(t, over.Root))

	change(t, copied.Root)
	change(t, over.Root)
	require.NoError(t, over.Settle())

	require.Equal(t, listing(t, copied.Root), listing(t, over.Root))
	require.Equal(t, before, listing(t, from.Root), "the original has changed")
	require.Equal(t, inodeOf(t, from.Root, "usr/lib/old/a"), inodeOf(t, over.Root, "usr/lib/new/a"), "an unchanged file is shared")
	require.NotEqual(t, inodeOf(t, from.Root, "etc/conf"), inodeOf(t, over.Root, "usr/etc/conf"))
	left, err := filepath.Glob(over.Root + ".*")
	require.NoError(t, err)
	require.Empty(t, left)
	require.NoError(t, over.Close(), "may be called twice")
}

func TestAnOverlayThatIsClosedLeavesNoMount(t *testing.T) {
	from := original(t)
	root := filepath.Join(filepath.Dir(from.Root), "clone")
	over, err := from.Overlay(t.Context(), root)
	require.NoError(t, err)
	put(t, root, "etc/conf", "changed\n")

	require.NoError(t, over.Close())

	require.NoError(t, os.RemoveAll(root))
	require.Equal(t, "conf\n", get(t, from.Root, "etc/conf"))
}

// Names that share a file only because their content is the same must not change
// together.
func TestNamesOfOneFileChangeAlone(t *testing.T) {
	testkit.NeedTool(t, "cp")
	from := original(t)
	require.NoError(t, os.Link(filepath.Join(from.Root, "etc/conf"), filepath.Join(from.Root, "usr/conf")))
	dir := filepath.Dir(from.Root)
	for name, clone := range map[string]func() (*Tree, error){
		"copy":    func() (*Tree, error) { return from.Copy(t.Context(), dir+"/copy") },
		"overlay": func() (*Tree, error) { return from.Overlay(t.Context(), dir+"/clone") },
	} {
		tree, err := clone()
		require.NoError(t, err)
		put(t, tree.Root, "etc/conf", "changed\n")
		require.Equal(t, "conf\n", get(t, tree.Root, "usr/conf"), name)
		require.NoError(t, tree.Close())
	}
}

func inodeOf(t *testing.T, root, name string) uint64 {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Lstat(filepath.Join(root, name), &st))
	return st.Ino
}
