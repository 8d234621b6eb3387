package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/rpmpack"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// elsewhere is a second work directory for the config and the packages of the
// first: on another file system where there is one, which lists directories in
// another order, with a clone of the config at another path, in another time
// zone and language, and under another umask.
func elsewhere(w *world) *world {
	root := otherFileSystem(w.t)
	other := &world{
		t: w.t, work: filepath.Join(root, "another/work"), config: filepath.Join(root, "c"), rpm: w.rpm,
		env: []string{"TZ=Asia/Tokyo", "LANG=tr_TR.UTF-8", "LC_ALL=tr_TR.UTF-8", "LANGUAGE=tr", "HOME=/nonexistent", "TMPDIR=" + root},
	}
	require.NoError(w.t, os.MkdirAll(other.work, 0o700))
	w.git("clone", "--quiet", w.config, other.config)
	require.NoError(w.t, os.RemoveAll(filepath.Join(other.config, ".git")))
	_, err := tool.Host{}.Run(w.t.Context(), tool.Cmd{Name: "cp", Args: []string{"-a", filepath.Join(w.config, ".git"), other.config}})
	require.NoError(w.t, err)
	old := unix.Umask(0o077) // of this process and its children
	w.t.Cleanup(func() { unix.Umask(old) })
	other.ok("init", "--transient", other.config)
	other.ok("fetch")
	return other
}

func otherFileSystem(t *testing.T) string {
	const memory = "/dev/shm"
	var at unix.Statfs_t
	if err := unix.Statfs(memory, &at); err != nil || at.Type != unix.TMPFS_MAGIC {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "nosa-test-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func TestTheSameInputGivesTheSameCommit(t *testing.T) {
	w := newWorld(t)
	one := w.build()
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // another second
	two := elsewhere(w).build()

	require.Equal(t, one.OSTreeCommit, two.OSTreeCommit)
	require.Equal(t, one.Images["ostree"].SHA256, two.Images["ostree"].SHA256, "and the same archive")
	require.Equal(t, one.Images["oci-manifest"].SHA256, two.Images["oci-manifest"].SHA256)
}

func TestTheTimeOfTheCommitComesFromItsInput(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, "2025-01-14T08:00:00Z", w.build().OSTreeTimestamp)
	w.file("overlay.d/05core/usr/share/core", "being edited\n")
	edited := w.build()
	require.Equal(t, "2025-01-14T08:00:00Z", edited.OSTreeTimestamp, "the config's last commit, also while it is edited")
	require.Equal(t, "true", edited.ConfigDirty)
	w.env = append(w.env, "SOURCE_DATE_EPOCH=1600000000")
	dated := w.build("--force")
	require.Equal(t, "2020-09-13T12:26:40Z", dated.OSTreeTimestamp)
	w.env = w.env[:len(w.env)-1]
	require.NoError(t, os.RemoveAll(filepath.Join(w.config, ".git")))
	require.Equal(t, "2023-11-14T22:13:20Z", w.build("--force").OSTreeTimestamp, "without git: the newest package")
}

// What varies from run to run in real packages, though none of it should.
func TestWhatScriptsLeaveBehindStaysOutOfTheCommit(t *testing.T) {
	w := bareWorld(t)
	testkit.WriteRPM(t, w.rpm, testkit.RPM{
		Name: "messy", Requires: []string{"shell"},
		Files: []rpmpack.RPMFile{{Name: "/usr/share/messy", Body: []byte("x"), Mode: 0o644}},
		Post: `
for f in /etc/.pwd.lock /etc/passwd- /etc/group- /etc/shadow- /tmp/x /run/x /var/tmp/x; do echo $$ >$f; done
read up rest </proc/uptime
echo "root:*:${up%.*}:0:99999:7:::" >/etc/shadow
/usr/bin/busybox dd if=/dev/urandom of=/etc/machine-id bs=16 count=1
/usr/bin/busybox touch /usr/share/messy
`,
	})
	testkit.IndexRepository(t, w.rpm)
	w.file("manifest.yaml", strings.Replace(worldManifest, ", app]", ", app, messy]", 1))
	w.commit("2025-01-14T08:00:00Z")
	w.ok("fetch")
	one := w.build()
	two := w.build("--force", "--version=1")
	require.Equal(t, one.OSTreeCommit, two.OSTreeCommit)
	require.Equal(t, "1-1", two.BuildID)
}

// A run that is killed leaves no trace that a later one or a reader trips over.
func TestKilledAtAnyMoment(t *testing.T) {
	w := newWorld(t)
	w.build()
	began := time.Now()
	w.build("--force")
	whole := time.Since(began)
	const kills = 15
	for i := range kills {
		moment := whole * time.Duration(i) / kills
		moment += time.Duration(rand.Int64N(int64(whole / kills)))
		w.file("overlay.d/05core/usr/share/core", moment.String())
		before := w.builds()
		w.killed(moment, "build", "container")
		w.checkBuilds()

		m := w.build()
		require.Equal(t, moment.String(), w.ostree("cat", m.OSTreeCommit, "/usr/share/core"), "killed after %s", moment)
		require.NotEqual(t, before[0], m.BuildID)
		w.checkBuilds()
	}
	w.ostree("fsck", "--quiet")
}

// killed starts nosa and kills it after a time.
func (w *world) killed(after time.Duration, args ...string) {
	w.t.Helper()
	p, err := tool.Host{}.Start(w.t.Context(), tool.Cmd{Name: "nosa", Args: args, Dir: w.work, Env: w.env})
	require.NoError(w.t, err)
	timer := time.AfterFunc(after, func() { _ = p.Signal(os.Kill) })
	_ = p.Wait() // it may have been faster
	timer.Stop()
}

// checkBuilds holds builds.json against the directories: what it names is whole.
func (w *world) checkBuilds() {
	w.t.Helper()
	for _, id := range w.builds() {
		m := w.meta(id)
		require.Equal(w.t, id, m.BuildID)
		for name, image := range m.Images {
			found, err := workdir.DescribeImage(w.path(id, image.Path))
			require.NoError(w.t, err)
			require.Equal(w.t, image.SHA256, found.SHA256, name)
		}
		require.FileExists(w.t, w.path(id, "commitmeta.json"))
	}
}
