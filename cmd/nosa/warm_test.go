package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/rpmpack"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// smallDracut asks the tree as the real one does, in all ways: it reads files,
// lists a directory, looks for what may be missing, and puts os-release into the
// image.
const smallDracut = `#!/bin/sh
set -eu
for image; do :; done
files=$TMPDIR/dracut.1/initramfs/usr/lib
/usr/bin/busybox mkdir -p $files
cat /etc/os-release >$files/initrd-release
{
  echo image
  /usr/bin/busybox ls /usr/lib/dracut.d
  cat /usr/lib/dracut.d/* $files/initrd-release
  if test -e /usr/share/maybe; then echo maybe; fi
} >$image
`

// dracutWorld is a world whose system has an initramfs.
func dracutWorld(t *testing.T) *world {
	w := bareWorld(t)
	testkit.WriteRPM(t, w.rpm, testkit.RPM{Name: "dracut", Requires: []string{"shell"}, Files: []rpmpack.RPMFile{
		{Name: "/usr/bin/dracut", Body: []byte(smallDracut), Mode: 0o755},
		{Name: "/usr/lib/dracut.d/10-a", Body: []byte("a\n"), Mode: 0o644},
	}})
	testkit.IndexRepository(t, w.rpm)
	text := strings.Replace(worldManifest, ", app]", ", app, dracut]", 1)
	w.file("manifest.yaml", strings.Replace(text, "no-initramfs: true\n", "", 1))
	w.commit("2025-01-14T08:00:00Z")
	w.ok("fetch")
	return w
}

func (w *world) initramfs() string {
	m := w.meta(w.builds()[0])
	return w.ostree("cat", m.OSTreeCommit, "/usr/lib/modules/6.1/initramfs.img")
}

// cold is the work directory without any of its caches.
func (w *world) cold() *world {
	other := *w
	other.work = filepath.Join(w.t.TempDir(), "work")
	_, err := tool.Host{}.Run(w.t.Context(), tool.Cmd{Name: "cp", Args: []string{"-a", w.work, other.work}})
	require.NoError(w.t, err)
	require.NoError(w.t, os.RemoveAll(filepath.Join(other.work, "tmp")))
	require.NoError(w.t, os.Mkdir(filepath.Join(other.work, "tmp"), 0o755))
	return &other
}

const takenOver = "initramfs of kernel 6.1: taken over"

func TestWarmAndColdCachesGiveTheSameBuild(t *testing.T) {
	w := dracutWorld(t)
	require.NotContains(t, w.ok("build", "container"), takenOver)
	for _, change := range []struct{ file, text string }{
		{"overlay.d/05core/usr/share/core", "changed\n"},
		{"overlay.d/05core/usr/share/app/more", "added\n"},
		{"overlay.d/05core/usr/lib/dracut.d/20-b", "b\n"},
	} {
		cold := w.cold()
		w.file(change.file, change.text)

		warmSaid, coldSaid := w.ok("build", "container"), cold.ok("build", "container")

		taken := !strings.Contains(change.file, "dracut")
		require.Equal(t, taken, strings.Contains(warmSaid, takenOver), warmSaid)
		require.NotContains(t, coldSaid, takenOver)
		require.NotContains(t, warmSaid, "unpack ")
		require.Contains(t, coldSaid, "unpack ")
		one, two := w.meta(w.builds()[0]), cold.meta(cold.builds()[0])
		require.Equal(t, two.OSTreeCommit, one.OSTreeCommit, change.file)
		require.Equal(t, two.Images["ostree"].SHA256, one.Images["ostree"].SHA256, change.file)
		w.ostree("fsck", "--quiet")
	}
}

func TestAnInitramfsIsTakenOverOnlyWhileItsInputIsTheSame(t *testing.T) {
	w := dracutWorld(t)
	w.ok("build", "container")
	for _, change := range []struct{ file, text, want string }{
		{"overlay.d/05core/usr/lib/dracut.d/20-b", "b\n", "20-b"},   // a name in a directory
		{"overlay.d/05core/usr/lib/dracut.d/20-b", "bee\n", "bee"},  // content
		{"overlay.d/05core/usr/share/maybe", "whatever\n", "maybe"}, // a name that was missing
		{"overlay.d/05core/usr/share/maybe", "whenever\n", "bee"},   // not read, only seen: taken over
	} {
		w.file(change.file, change.text)

		said := w.ok("build", "container")

		require.Equal(t, change.text == "whenever\n", strings.Contains(said, takenOver), change.text)
		require.Contains(t, w.initramfs(), change.want)
	}
}

// The version changes with every build; an initramfs that named it would be new in
// every update.
func TestAnInitramfsNamesTheReleaseAndNotTheBuild(t *testing.T) {
	w := dracutWorld(t)
	w.ok("build", "container", "--version=1.1")
	first := w.initramfs()
	require.Contains(t, first, "OSTREE_VERSION='1'")
	require.NotContains(t, first, "1.1")

	require.Contains(t, w.ok("build", "container", "--version=1.2", "--force"), takenOver)

	require.Equal(t, first, w.initramfs())
	for version, at := range map[string]int{"1.1": 1, "1.2": 0} {
		release := w.ostree("cat", w.meta(w.builds()[at]).OSTreeCommit, "/usr/lib/os-release")
		require.Contains(t, release, "OSTREE_VERSION='"+version+"'")
	}
}

// What scripts write in place must not reach the packages that are kept, nor the
// repository.
func TestScriptsCannotSpoilWhatIsKept(t *testing.T) {
	w := bareWorld(t)
	spoil := "  - |\n    #!/bin/sh\n    set -eu\n    echo spoiled >>/usr/share/app/version\n    /usr/bin/busybox chmod 0600 /usr/share/core\n" +
		"    /usr/bin/busybox mv /usr/share/app /usr/share/moved\n"
	w.file("manifest.yaml", worldManifest+spoil)
	w.commit("2025-01-14T08:00:00Z")
	w.ok("fetch")
	w.build()
	w.file("manifest.yaml", worldManifest)

	m := w.build()

	require.Equal(t, "1", w.ostree("cat", m.OSTreeCommit, "/usr/share/app/version"))
	require.Contains(t, w.ostree("ls", m.OSTreeCommit, "/usr/share/core"), "-00644 0 0")
	w.ostree("fsck", "--quiet")
}
