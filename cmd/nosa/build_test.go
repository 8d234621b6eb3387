package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/workdir"
)

func TestABuildSaysWhatItIs(t *testing.T) {
	w := newWorld(t)
	m := w.build()

	require.Equal(t, []string{"1"}, w.builds())
	require.Equal(t, "tiny", m.Name)
	require.Equal(t, "2025-01-14T08:00:00Z", m.OSTreeTimestamp, "that of the config's commit")
	require.Nil(t, m.PkgDiff, "a first build has nothing to differ from")
	require.Nil(t, m.AdvisoriesDiff)
	require.Positive(t, *m.MetadataTotal)
	require.Positive(t, *m.ContentWritten)
	require.LessOrEqual(t, *m.ContentWritten, *m.ContentTotal)
	require.Positive(t, *m.ContentBytesWritten)
	require.Equal(t, "false", m.ConfigDirty)
	require.Equal(t, m.ConfigGit.Commit, m.ConfigGitrev)
	require.Equal(t, 0, *m.ImageGenver)

	var commit map[string]any
	w.json(w.path("1", "commitmeta.json"), &commit)
	require.Equal(t, m.InputHash, commit["rpmostree.inputhash"])
	delete(commit, "rpmostree.inputhash")
	times := commit["rpmostree.rpmmd-repos"].([]any)
	require.Len(t, times, 1)
	require.Equal(t, "tiny", times[0].(map[string]any)["id"])
	require.Greater(t, times[0].(map[string]any)["timestamp"], 1.7e9)
	delete(commit, "rpmostree.rpmmd-repos")
	require.Equal(t, map[string]any{
		"version": "1", "nestos.stream": "stable", "number": 7.0,
		"ostree.bootable": true, "ostree.linux": "6.1",
		"coreos-assembler.basearch": m.Basearch, "coreos-assembler.config-dirty": "false",
		"coreos-assembler.config-gitrev": m.ConfigGitrev,
		"rpmostree.rpmdb.pkglist": []any{
			[]any{"app", "0", "1", "1", "noarch"}, []any{"filesystem", "0", "1", "1", "noarch"},
			[]any{"kernel", "0", "6.1", "1", "noarch"}, []any{"shell", "0", "1", "1", "noarch"},
		},
	}, commit)
	require.Equal(t, m.OSTreeCommit, w.ref(m.Ref))
	require.Equal(t, m.OSTreeCommit, w.ref("1"), "a ref like a checksum's first digit")
	require.Equal(t, "1 made", w.ostree("cat", m.OSTreeCommit, "/usr/etc/app-made"))
	require.Contains(t, w.ostree("cat", m.OSTreeCommit, "/usr/lib/os-release"), "OSTREE_VERSION='1'")

	var compose map[string]any
	w.json(filepath.Join(w.work, "tmp/compose.json"), &compose)
	require.Equal(t, m.OSTreeCommit, compose["ostree-commit"])
	require.Equal(t, m.InputHash, compose["rpm-ostree-inputhash"])
	var lock map[string]any
	w.json(w.path("1", "manifest-lock.generated."+m.Basearch+".json"), &lock)
	require.Contains(t, lock["packages"], "kernel")
	w.ostree("fsck", "--quiet")
	w.ok("build-validate")
}

func TestKeysOfTheConfigYieldToThoseOfTheCompose(t *testing.T) {
	w := newWorld(t)
	w.file("manifest.yaml", strings.Replace(worldManifest, "  number: 7\n", `  version: "9.1"
  rpmostree.inputhash: mine
  coreos-assembler.basearch: mine
`, 1))
	m := w.build()
	require.Equal(t, "9.1", m.BuildID, "a version of the config's own")
	var commit map[string]any
	w.json(w.path("9.1", "commitmeta.json"), &commit)
	require.Equal(t, m.InputHash, commit["rpmostree.inputhash"])
	require.Equal(t, m.Basearch, commit["coreos-assembler.basearch"])
	require.Equal(t, "9.2", w.build("--force", "--version=9.2").BuildID, "the command line knows best")
}

func TestWhatChangesMakesABuildAndNothingElse(t *testing.T) {
	w := newWorld(t)
	first := w.build("--skip-prune")
	unchanged := func(why string) {
		t.Helper()
		said := w.ok("build", "container")
		require.Contains(t, said, "No changes in image inputs.", why)
		require.Equal(t, []string{"1"}, w.builds(), why)
	}
	unchanged("the same again")
	w.file("README.md", "new")
	w.commit("2025-02-01T00:00:00Z")
	unchanged("a commit that changes nothing of the system")
	require.NoError(t, os.RemoveAll(filepath.Join(w.work, "tmp")))
	unchanged("without the caches in tmp, which need not be made again to know")
	w.ok("build", "container", "--tag=same")
	require.Contains(t, w.ok("list"), "same", "a tag goes to the build that still holds")

	require.Equal(t, "1-1", w.build("--force-image").BuildID)
	again := w.build("--force-image")
	require.Equal(t, "1-2", again.BuildID)
	require.Equal(t, 2, *again.ImageGenver)
	require.Equal(t, first.OSTreeCommit, again.OSTreeCommit)
	require.Equal(t, *first.ContentTotal, *again.ContentTotal, "what is known of the commit stays known")
	require.Equal(t, first.Images["ostree"].SHA256, again.Images["ostree"].SHA256)
	require.Equal(t, "[]", rows(t, again.PkgDiff))

	forced := w.build("--force")
	require.Equal(t, "1.1", forced.BuildID)
	require.Equal(t, first.InputHash, forced.InputHash)
	w.file("image.yaml", "size: 3\nrootfs: ext4\n")
	require.Equal(t, "1.2", w.build().BuildID, "image.yaml is part of the tree")
	w.file("overlay.d/05core/usr/share/core", "changed\n")
	require.Equal(t, "1.3", w.build("--skip-prune").BuildID)
	w.ok("tag", "delete", "--tag=same")
	w.file("overlay.d/05core/usr/share/core", "once more\n")
	require.Equal(t, "1.4", w.build().BuildID)
	require.Len(t, w.builds(), 3, "older builds go")
}

func TestAnotherRefIsAnotherSystem(t *testing.T) {
	w := newWorld(t)
	first := w.build()
	w.file("manifest.yaml", strings.Replace(worldManifest, "/stable\nrojig", "/next\nrojig", 1))
	second := w.build()
	require.Equal(t, "1.1", second.BuildID)
	require.Equal(t, "tiny/"+first.Basearch+"/next", second.Ref)
	require.Equal(t, second.OSTreeCommit, w.ref(second.Ref))
}

func TestABuildWhoseDirectoryIsGoneDoesNotCount(t *testing.T) {
	w := newWorld(t)
	w.build()
	require.NoError(t, os.RemoveAll(filepath.Join(w.work, "builds/1")))
	require.NoError(t, os.RemoveAll(filepath.Join(w.work, "tmp")))
	m := w.build("--skip-prune")
	require.Equal(t, "1.1", m.BuildID, "its version has been used")
	require.Nil(t, m.PkgDiff)
}

func TestPackageDifferences(t *testing.T) {
	w := newWorld(t)
	w.build()
	w.packages("2")
	w.ok("fetch")
	said := w.ok("build", "container")
	require.Contains(t, said, "packages that differ from build 1: 1\n  upgraded    app 1-1 -> 2-1\n")
	require.JSONEq(t, appChange(2, "1", "2"), rows(t, w.meta("1.1").PkgDiff))

	w.file("manifest.yaml", strings.Replace(worldManifest, ", app]", ", app-1-1]", 1))
	w.ok("fetch")
	down := w.build()
	require.JSONEq(t, appChange(3, "2", "1"), rows(t, down.PkgDiff))
	require.Nil(t, down.ParentPkgDiff)

	t.Log("a parent is in the commit and in the metadata")
	w.file("manifest.yaml", worldManifest)
	w.ok("fetch")
	m := w.build("--parent-build=1", "--skip-prune")
	require.Equal(t, w.meta("1").OSTreeCommit, w.ostree("rev-parse", m.OSTreeCommit+"^"))
	require.JSONEq(t, appChange(2, "1", "2"), rows(t, m.PkgDiff))
	require.JSONEq(t, appChange(2, "1", "2"), rows(t, m.ParentPkgDiff))
	again := w.build("--force", "--parent-build="+m.BuildID, "--skip-prune")
	require.Nil(t, again.ParentPkgDiff, "the parent is the newest build")
	require.Equal(t, m.OSTreeCommit, w.ostree("rev-parse", again.OSTreeCommit+"^"))
	require.NoError(t, os.RemoveAll(filepath.Join(w.work, "tmp/repo")))
	again = w.build("--force", "--parent-build=1", "--skip-prune")
	require.Equal(t, w.meta("1").OSTreeCommit, w.ostree("rev-parse", again.OSTreeCommit+"^"), "its commit is brought back")
	w.fails("--parent-build: build 77: no such build", "build", "container", "--force", "--parent-build=77")
}

func TestAParentWithoutABuild(t *testing.T) {
	w := newWorld(t)
	first := w.build()
	require.NoError(t, os.RemoveAll(filepath.Join(w.work, "builds/1")))
	w.ok("prune", "--workdir=.", "--keep-last-n=3")
	require.Empty(t, w.builds())
	w.packages("2")
	w.ok("fetch")
	m := w.build("--parent=" + first.OSTreeCommit)
	require.Equal(t, first.OSTreeCommit, w.ostree("rev-parse", m.OSTreeCommit+"^"))
	require.JSONEq(t, appChange(2, "1", "2"), rows(t, m.PkgDiff), "without a build before, the parent is compared with")
}

func TestARunThatStoppedAfterTheCommitGoesOn(t *testing.T) {
	w := newWorld(t)
	first := w.build()
	w.file("overlay.d/05core/usr/share/core", "changed\n")
	w.ok("build", "container")
	second := w.meta("1.1")
	w.forget("1.1")

	said := w.ok("build", "container")
	require.Contains(t, said, "going on with commit "+second.OSTreeCommit)
	require.NotContains(t, said, "unpack")
	resumed := w.meta("1.1")
	require.Equal(t, second.OSTreeCommit, resumed.OSTreeCommit)
	require.Equal(t, second.Images["ostree"].SHA256, resumed.Images["ostree"].SHA256)
	require.Equal(t, *second.ContentTotal, *resumed.ContentTotal)
	require.Equal(t, second.PkgDiff, resumed.PkgDiff)
	require.FileExists(t, w.path("1.1", "commitmeta.json"))

	t.Log("not with another version, and not when the input is another")
	w.forget("1.1")
	require.Equal(t, "5", w.build("--version=5").BuildID)
	w.file("overlay.d/05core/usr/share/core", "core\n")
	said = w.ok("build", "container")
	require.NotContains(t, said, "going on with")
	require.Equal(t, "1.1", w.builds()[0], "1 is taken")
	require.Equal(t, first.InputHash, w.meta("1.1").InputHash)
}

// forget undoes the end of a run: the build was never made.
func (w *world) forget(build string) {
	w.t.Helper()
	require.NoError(w.t, os.RemoveAll(filepath.Join(w.work, "builds", build)))
	w.ok("prune", "--workdir=.", "--keep-last-n=9")
	require.NotContains(w.t, w.builds(), build)
}

func TestFlagsOfBuild(t *testing.T) {
	w := bareWorld(t)
	w.fails("must fetch before building; run nosa fetch", "build", "container")
	w.fails(`unknown target "floppy"`, "build", "floppy")
	w.fails("secex is for IBM Z", "build", "secex")
	require.Contains(t, w.ok("build", "-h"), "--parent-build")

	said := w.ok("build", "-F", "--prepare-only")
	require.Contains(t, said, "commit overlays")
	require.Empty(t, w.builds(), "nothing is composed")
	w.fails("no lockfile names it", "build", "--strict", "container")
	w.ok("fetch", "--update-lockfile")
	require.Equal(t, "1", w.build("--strict", "--tag", "good").BuildID)
	require.Contains(t, w.ok("list"), "good")

	m := w.build("--version", "7", "-f", "--skip-config-archive", "--delay-meta-merge")
	require.Equal(t, "7", m.BuildID)
	require.True(t, m.Delayed())
	require.NoFileExists(t, w.path("7", "coreos-assembler-config.tar.gz"))
	require.FileExists(t, w.path("1", "coreos-assembler-config.tar.gz"))
	require.Equal(t, "7-1", w.build("--force-nocache", "--version=7").BuildID, "the same commit again")
	w.file("overlay.d/05core/usr/share/core", "changed\n")
	w.fails("there is a build 7 of another commit", "build", "--version=7", "container")
}

func TestABuildOfAVersionTakesThePackagesOfOtherArchitectures(t *testing.T) {
	w := newWorld(t)
	first := w.build("--version=5")
	lock := "manifest-lock.generated." + first.Basearch + ".json"
	text, err := os.ReadFile(w.path("5", lock))
	require.NoError(t, err)
	w.forget("5")
	other := filepath.Join(w.work, "builds/5/riscv64")
	require.NoError(t, os.MkdirAll(other, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(other, "manifest-lock.generated.riscv64.json"), text, 0o644))
	w.packages("2")
	w.ok("build", "--fetch", "--version=5", "container")
	var commit struct {
		Packages [][]string `json:"rpmostree.rpmdb.pkglist"`
	}
	w.json(filepath.Join(w.work, "builds/5", first.Basearch, "commitmeta.json"), &commit)
	require.Equal(t, []string{"app", "0", "1", "1", "noarch"}, commit.Packages[0])
	require.JSONEq(t, appChange(2, "1", "2"), rows(t, w.build("--fetch", "--force", "--version=6").PkgDiff))
}

func TestOverridesAreMarked(t *testing.T) {
	w := newWorld(t)
	require.False(t, w.build().OverridesActive)
	path := filepath.Join(w.work, "overrides/rootfs/usr/share/core")
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte("mine\n"), 0o644))
	m := w.build()
	require.True(t, m.OverridesActive)
	require.Equal(t, "mine", w.ostree("cat", m.OSTreeCommit, "/usr/share/core"), "they go over all else")

	require.NoError(t, os.RemoveAll(filepath.Join(w.work, "overrides/rootfs/usr")))
	testkit.WriteRPM(t, filepath.Join(w.work, "overrides/rpm"), testkit.RPM{Name: "app", Version: "0.5", Requires: []string{"shell"}})
	w.file("manifest.yaml", strings.Split(worldManifest, "postprocess:")[0])
	m = w.build()
	require.True(t, m.OverridesActive)
	require.JSONEq(t, appChange(3, "1", "0.5"), rows(t, m.PkgDiff))
}

func TestTheGitStateOfYumreposIsRecorded(t *testing.T) {
	w := newWorld(t)
	repos := &world{t: t, config: filepath.Join(t.TempDir(), "repos")}
	require.NoError(t, os.Mkdir(repos.config, 0o755))
	repos.file("extra.repo", "[extra]\nname=extra\nbaseurl=file:///nothere\nenabled=0\n")
	repos.git("init", "--quiet", "--initial-branch=main")
	repos.commit("2025-01-01T00:00:00Z")
	require.NoError(t, os.Symlink(repos.config, filepath.Join(w.work, "src/yumrepos")))
	m := w.build()
	require.Len(t, m.YumReposGit.Commit, 40)
	var record struct{ Git workdir.Git }
	w.json(w.path("1", "coreos-assembler-yumrepos-git.json"), &record)
	require.Equal(t, *m.YumReposGit, record.Git)
}
