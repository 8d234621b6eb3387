package pipeline_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/rpmpack"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/testkit/actiontest"
	"github.com/nestos/nosa-actions/internal/tool"
)

// What the input overrides names goes with the packages to the job that builds, and is in
// the commit there: a package in place of the repository's, what that one needs, and a file.
func TestOverridesGetIntoTheCommitOfAnotherJob(t *testing.T) {
	testkit.NeedRoot(t)
	testkit.NeedTool(t, "dnf", "rpm", "ostree", "bwrap", "git", "createrepo_c", "/bin/busybox")
	r := actiontest.NewRunner(t, actiontest.Build(t, "./cmd/nosa"), t.TempDir())
	r.Env["GITHUB_REPOSITORY"], r.Context["github.token"] = "nestos/demo", "none"
	put := func(path, text string) {
		path = filepath.Join(r.Workspace, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	pool, mine := t.TempDir(), filepath.Join(r.Workspace, "mine/rpm")
	testkit.TinyPackages(t, pool, "1")
	testkit.WriteRPM(t, pool, testkit.RPM{Name: "extra", Files: []rpmpack.RPMFile{{Name: "/usr/share/extra", Body: []byte("extra\n"), Mode: 0o644}}})
	testkit.IndexRepository(t, pool)
	put("os/manifest.yaml", testkit.TinyManifest)
	put("os/image.yaml", "size: 2\nrootfs: ext4\n")
	put("os/platforms.yaml", "x86_64: {}\naarch64: {}\n")
	put("os/overlay.d/05core/usr/share/core", "core\n")
	put("os/tiny.repo", "[tiny]\nname=tiny\nbaseurl=file://"+pool+"\ngpgcheck=0\n")
	put("mine/rootfs/usr/share/mine", "mine\n")
	require.NoError(t, os.MkdirAll(mine, 0o755))
	testkit.WriteRPM(t, mine, testkit.RPM{Name: "app", Version: "9", Requires: []string{"shell", "extra"}, Files: []rpmpack.RPMFile{
		{Name: "/usr/share/app/version", Body: []byte("9\n"), Mode: 0o644},
	}})
	run(t, "git", "init", "--quiet", r.Workspace)
	run(t, "git", "-C", r.Workspace, "add", "os")
	run(t, "git", "-C", r.Workspace, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "--message=c")

	got := r.Run(t, "actions/fetch", map[string]string{"config": "os", "overrides": "mine"})
	require.Zero(t, got.Code, got.Log)
	packs := filepath.Join(r.Temp, "nosa-out")
	r.Temp = t.TempDir()
	require.NoError(t, os.Rename(packs, filepath.Join(r.Temp, "nosa-in")))
	require.NoError(t, os.RemoveAll(filepath.Join(r.Workspace, "mine")), "the other job has none")
	got = r.Run(t, "actions/build", map[string]string{"config": "os"})
	require.Zero(t, got.Code, got.Log)

	for path, want := range map[string]string{
		"/usr/share/app/version": "9\n", "/usr/share/extra": "extra\n", "/usr/share/mine": "mine\n", "/usr/share/core": "core\n",
	} {
		require.Equal(t, want, run(t, "ostree", fmt.Sprintf("--repo=%s/nosa/tmp/repo", r.Temp), "cat", got.Outputs["commit"], path))
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: name, Args: args})
	require.NoError(t, err)
	return string(out)
}
