package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/handoff"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/test/artifacts"
)

// TestAHandOffLosesNothing sends the same tree both ways through the clients of
// the artifact actions: as plain files at their defaults, and as a pack. What
// plain artifacts lose is said here, so that we hear of it should they learn.
func TestAHandOffLosesNothing(t *testing.T) {
	if os.Getenv("NOSA_E2E") == "" {
		t.Skip("downloads the clients of the artifact actions; make e2e sets NOSA_E2E")
	}
	testkit.NeedTool(t, "go", "node", "npm", "find")
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	service, err := artifacts.Start(t.Context(), root, filepath.Join(root, ".cache", "e2e"), t.TempDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, service.Stop()) }()
	work := t.TempDir()
	plantBuild(t, work)
	want := describe(t, work)

	plain := filepath.Join(t.TempDir(), "plain")
	require.NoError(t, service.Upload(t.Context(), "plain", work, 6))
	require.NoError(t, service.Download(t.Context(), "plain", plain))

	dir := t.TempDir()
	pack := filepath.Join(dir, "nosa-build-x86_64.tar.zst")
	_, err = handoff.PackFile(t.Context(), pack, work, handoff.PackOptions{Paths: []string{"builds"}})
	require.NoError(t, err)
	ours := filepath.Join(t.TempDir(), "ours")
	require.NoError(t, os.Mkdir(ours, 0o755))
	require.NoError(t, service.Upload(t.Context(), "ours", pack, 0))
	require.NoError(t, service.Download(t.Context(), "ours", dir))
	_, err = handoff.UnpackFile(t.Context(), pack, ours, handoff.UnpackOptions{})
	require.NoError(t, err)

	require.Equal(t, want, describe(t, ours))
	lost := describe(t, plain)
	require.NotEqual(t, want, lost)
	const build = "builds/1/x86_64/"
	require.Contains(t, want["builds/latest"], `to "1"`)
	require.Contains(t, lost["builds/latest"], "type d", "the link became a copy of what it links to")
	require.NotContains(t, lost, build+".hidden")
	require.NotContains(t, lost, build+"empty")
	require.Contains(t, want[build+"disk.raw"], "blocks 2048")
	require.NotContains(t, lost[build+"disk.raw"], "blocks 2048", "holes were filled")
	require.Contains(t, want[build+"script"], "mode 4755")
	require.NotContains(t, lost[build+"script"], "mode 4755")
	require.Contains(t, want[build+"link"], "names 2")
	require.NotContains(t, lost[build+"link"], "names 2")
	plainSize, err := service.Size("plain")
	require.NoError(t, err)
	oursSize, err := service.Size("ours")
	require.NoError(t, err)
	t.Logf("bytes: plain %d, ours %d", plainSize, oursSize)
	require.Greater(t, plainSize, oursSize*18/10, "what the link links to went twice")
}

// plantBuild makes the build of a work directory with all that file systems
// know.
func plantBuild(t *testing.T, work string) {
	t.Helper()
	dir := filepath.Join(work, "builds", "1", "x86_64")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "empty"), 0o700))
	random := make([]byte, 1<<20)
	_, err := rand.Read(random)
	require.NoError(t, err)
	for name, mode := range map[string]fs.FileMode{"meta.json": 0o444, ".hidden": 0o600, "script": 0o755, "name \xff\n": 0o644} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), random[:1000+len(name)], 0o600))
		require.NoError(t, os.Chmod(filepath.Join(dir, name), mode))
	}
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(filepath.Join(dir, "script"), 1234, 5678))
		require.NoError(t, unix.Lsetxattr(filepath.Join(dir, "script"), "security.selinux", []byte("system_u:object_r:bin_t:s0\x00"), 0))
	}
	require.NoError(t, unix.Chmod(filepath.Join(dir, "script"), 0o4755))
	require.NoError(t, unix.Lsetxattr(filepath.Join(dir, "meta.json"), "user.note", []byte{0, 1, 255}, 0))
	require.NoError(t, os.Link(filepath.Join(dir, "meta.json"), filepath.Join(dir, "link")))
	f, err := os.Create(filepath.Join(dir, "disk.raw"))
	require.NoError(t, err)
	_, err = f.WriteAt(random, 64<<20)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(256<<20))
	require.NoError(t, f.Close())
	require.NoError(t, os.WriteFile(filepath.Join(work, "builds", "builds.json"), []byte("{}"), 0o644))
	require.NoError(t, os.Symlink("1", filepath.Join(work, "builds", "latest")))
	at := time.Unix(1_000_000_000, 123_456_789)
	require.NoError(t, os.Chtimes(filepath.Join(dir, "meta.json"), at, at))
}

// describe says of each file below root, by find, all that must survive.
func describe(t *testing.T, root string) map[string]string {
	t.Helper()
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "find", Args: []string{
		root, "-mindepth", "1", "-printf", `%P\0type %y mode %m owner %U:%G time %T@ size %s blocks %b names %n to "%l"\0`,
	}})
	require.NoError(t, err)
	fields := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	tree := map[string]string{}
	for i := 0; i+1 < len(fields); i += 2 {
		path, line := fields[i], fields[i+1]
		if strings.Contains(line, "type d") { // how large a directory is says nothing
			line = line[:strings.Index(line, " size")]
		}
		for _, name := range []string{"security.selinux", "user.note"} {
			value := make([]byte, 100)
			if n, err := unix.Lgetxattr(filepath.Join(root, path), name, value); err == nil {
				line += fmt.Sprintf(" %s=%q", name, value[:n])
			}
		}
		if strings.Contains(line, "type f") {
			data, err := os.ReadFile(filepath.Join(root, path))
			require.NoError(t, err)
			line += fmt.Sprintf(" sum %x", sha256.Sum256(data))
		}
		tree[path] = line
	}
	return tree
}
