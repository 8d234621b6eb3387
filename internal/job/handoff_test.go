package job

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/handoff"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// machine is a job with its own runner: a temporary directory and a work
// directory in it.
func machine(t *testing.T, job string) *Job {
	t.Helper()
	t.Setenv("GITHUB_JOB", job)
	temp := t.TempDir()
	output := filepath.Join(temp, "output")
	require.NoError(t, os.WriteFile(output, nil, 0o600))
	step := action.New(func(name string) (string, bool) {
		value, ok := map[string]string{
			"RUNNER_TEMP": temp, "GITHUB_OUTPUT": output,
			"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/main", "GITHUB_REF_TYPE": "branch",
		}[name]
		return value, ok
	}, io.Discard)
	j := &Job{Step: step, Arch: testArch(t, "x86_64"), Workdir: filepath.Join(temp, "nosa"), temp: temp, handoff: true, revision: "c0ffee"}
	require.NoError(t, os.MkdirAll(j.Workdir, 0o755))
	_, err := workdir.Create(j.Workdir, j.Arch)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(temp, incoming), 0o755))
	return j
}

func testArch(t *testing.T, rpm string) arch.Arch {
	t.Helper()
	a, err := arch.Parse(rpm)
	require.NoError(t, err)
	return a
}

// deliver copies the pack that one job sent to where another expects it, and
// returns the path.
func deliver(t *testing.T, from, to *Job) string {
	t.Helper()
	packs, err := filepath.Glob(filepath.Join(from.temp, outgoing, "*"+packSuffix))
	require.NoError(t, err)
	require.Len(t, packs, 1)
	data, err := os.ReadFile(packs[0])
	require.NoError(t, err)
	path := filepath.Join(to.temp, incoming, filepath.Base(packs[0]))
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

func fetchInto(t *testing.T, j *Job, packages ...string) {
	t.Helper()
	type file struct {
		File string `json:"file"`
	}
	var record struct {
		Packages []file `json:"packages"`
	}
	for _, name := range packages {
		write(t, j, "cache/rpms/"+name, strings.Repeat("content of "+name, 1000))
		record.Packages = append(record.Packages, file{name})
	}
	text, err := json.Marshal(record)
	require.NoError(t, err)
	write(t, j, "cache/packages.json", string(text))
	write(t, j, "cache/fetched-stamp", "")
	write(t, j, "cache/repodata/repo.solv", "metadata")
}

func write(t *testing.T, j *Job, name, content string) {
	t.Helper()
	path := filepath.Join(j.Workdir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}

func buildInto(t *testing.T, j *Job, id, commit string) (workdir.Build, *workdir.Meta) {
	t.Helper()
	d, err := workdir.Open(j.Workdir, j.Arch)
	require.NoError(t, err)
	tmp, err := d.BeginBuild("")
	require.NoError(t, err)
	m := &workdir.Meta{
		BuildID: id, Name: "mini", OSTreeVersion: id, OSTreeTimestamp: "2025-01-14T08:00:00Z", Basearch: j.Arch.RPM,
		Ref: "mini/stable", OSTreeCommit: strings.Repeat(commit, 32), OSTreeContentChecksum: strings.Repeat("a1", 32),
		InputHash: strings.Repeat("77", 32), BuildTimestamp: "2025-01-14T08:03:10Z", ImageGenver: new(0), DelayedMetaMerge: new(true),
	}
	addImage(t, tmp, m, "ostree", "content of the commit")
	require.NoError(t, workdir.WriteCommitMeta(tmp, map[string]any{}))
	require.NoError(t, workdir.WriteMeta(tmp, m))
	b, err := d.Publish(tmp, id)
	require.NoError(t, err)
	return b, m
}

func extendInto(t *testing.T, j *Job, platform, content string) {
	t.Helper()
	b, err := j.Build()
	require.NoError(t, err)
	m, err := b.ArtifactMeta(platform)
	require.NoError(t, err)
	for _, name := range workdir.StageArtifacts(platform) {
		addImage(t, b.Dir, m, name, content+name)
	}
	require.NoError(t, b.Merge(platform, m))
}

func addImage(t *testing.T, dir string, m *workdir.Meta, name, content string) {
	t.Helper()
	path := filepath.Join(dir, "mini-"+name+".img")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	require.NoError(t, os.Truncate(path, 1<<20))
	image, err := workdir.DescribeImage(path)
	require.NoError(t, err)
	m.SetImage(name, image)
}

// pipeline runs fetch, build, and an extension for each platform, each on a
// machine of its own, and delivers what they send to another.
func pipeline(t *testing.T, to *Job, platforms ...string) (packs map[string]string) {
	t.Helper()
	packs = map[string]string{}
	f := machine(t, "fetch")
	fetchInto(t, f, "a-1.rpm", "b-2.rpm")
	_, err := f.SendCache(t.Context())
	require.NoError(t, err)
	packs["cache"] = deliver(t, f, to)

	m := machine(t, "compose")
	deliver(t, f, m)
	require.NoError(t, m.ReceiveCache(t.Context()))
	b, meta := buildInto(t, m, "1.0", "6d")
	_, err = m.SendBuild(t.Context(), b, meta)
	require.NoError(t, err)
	packs["build"] = deliver(t, m, to)

	for _, platform := range platforms {
		x := machine(t, "extend-"+platform)
		deliver(t, m, x)
		require.NoError(t, x.ReceiveBuild(t.Context()))
		extendInto(t, x, platform, "image ")
		b, err := x.Build()
		require.NoError(t, err)
		_, err = x.SendImages(t.Context(), b, []string{platform})
		require.NoError(t, err)
		packs[platform] = deliver(t, x, to)
	}
	return packs
}

// TestTheMergedWorkDirectoryIsThatOfASingleMachine unpacks the packs of four jobs
// in every order, and compares with a machine that ran all stages itself.
func TestTheMergedWorkDirectoryIsThatOfASingleMachine(t *testing.T) {
	single := machine(t, "all")
	fetchInto(t, single, "a-1.rpm", "b-2.rpm")
	buildInto(t, single, "1.0", "6d")
	extendInto(t, single, "qemu", "image ")
	extendInto(t, single, "metal", "image ")
	require.NoError(t, os.RemoveAll(filepath.Join(single.Workdir, "cache/repodata"))) // only fetch reads it
	b, err := single.Build()
	require.NoError(t, err)
	_, _, err = b.Finalize(false)
	require.NoError(t, err)
	require.NoError(t, b.Update(func(m *workdir.Meta) error { m.DelayedMetaMerge = new(false); return nil }))
	want := tree(t, single.Workdir, false)
	require.Contains(t, want, "builds/latest")
	require.Contains(t, want, "builds/1.0/x86_64/mini-metal.img")

	names := []string{"cache", "build", "qemu", "metal"}
	packs := pipeline(t, machine(t, "store"), "qemu", "metal")
	for _, order := range permutations(names) {
		last := machine(t, "release")
		for _, name := range order {
			kind := map[string]string{"cache": cacheKind, "build": buildKind}[name]
			if kind == "" {
				kind = imageKind
			}
			pack := filepath.Join(last.temp, incoming, filepath.Base(packs[name]))
			require.NoError(t, os.Link(packs[name], pack))
			require.NoError(t, last.unpack(t.Context(), kind, pack), "%v", order)
		}
		left, err := os.ReadDir(filepath.Join(last.temp, incoming))
		require.NoError(t, err)
		require.Empty(t, left)
		b, err := last.Build()
		require.NoError(t, err)
		_, _, err = b.Finalize(false)
		require.NoError(t, err)
		require.NoError(t, b.Update(func(m *workdir.Meta) error { m.DelayedMetaMerge = new(false); return nil }))
		got := tree(t, last.Workdir, false)
		require.Equal(t, want, got, "%v", order)
	}
}

func permutations(names []string) [][]string {
	if len(names) == 0 {
		return [][]string{nil}
	}
	var all [][]string
	for i, name := range names {
		rest := append(append([]string{}, names[:i]...), names[i+1:]...)
		for _, p := range permutations(rest) {
			all = append(all, append([]string{name}, p...))
		}
	}
	return all
}

// stamps of metadata say when it was written last.
var stamps = regexp.MustCompile(`("coreos-assembler.meta-stamp"|"timestamp"): [^,\n]+`)

// tree describes what stages read: everything but locks, sources and scratch.
func tree(t *testing.T, root string, times bool) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		rel, err := filepath.Rel(root, path)
		require.NoError(t, err)
		if rel == "src" || rel == "tmp" {
			return fs.SkipDir
		}
		if transient(d.Name()) {
			return nil
		}
		info, err := d.Info()
		require.NoError(t, err)
		line := info.Mode().String()
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			require.NoError(t, err)
			line += " to " + target
		case d.Type().IsRegular():
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			data = stamps.ReplaceAll(data, []byte("$1: now"))
			line += fmt.Sprintf(" %d %x", len(data), sha256.Sum256(data))
		}
		if times && rel != "." {
			line += info.ModTime().String()
		}
		found[rel] = line
		return nil
	})
	require.NoError(t, err)
	return found
}

func TestEachArtifactHasWhatTheNextJobNeedsAndNoMore(t *testing.T) {
	f := machine(t, "fetch")
	fetchInto(t, f, "a-1.rpm")
	write(t, f, "cache/rpms/of-another-day.rpm", "stale")
	sent, err := f.SendCache(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"cache", "cache/fetched-stamp", "cache/packages.json", "cache/rpms", "cache/rpms/a-1.rpm"}, paths(sent))

	b, m := buildInto(t, f, "1.0", "6d")
	extendInto(t, f, "qemu", "image ")
	sent, err = f.SendBuild(t.Context(), b, m)
	require.NoError(t, err)
	require.Equal(t, []string{"builds", "builds/1.0", "builds/1.0/x86_64", "builds/1.0/x86_64/commitmeta.json", "builds/1.0/x86_64/meta.json",
		"builds/1.0/x86_64/mini-ostree.img", "builds/builds.json", "builds/latest"}, paths(sent))

	sent, err = f.SendImages(t.Context(), b, []string{"qemu"})
	require.NoError(t, err)
	require.Equal(t, []string{"builds", "builds/1.0", "builds/1.0/x86_64",
		"builds/1.0/x86_64/meta.qemu.json", "builds/1.0/x86_64/mini-qemu.img"}, paths(sent))
}

func paths(m *handoff.Manifest) []string {
	var list []string
	for _, e := range m.Entries {
		list = append(list, string(e.Path))
	}
	return list
}

func TestArtifactsThatDoNotBelongTogetherAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		other func(t *testing.T, j *Job) // makes another build on another machine
		says  string
	}{
		"another build": {func(t *testing.T, j *Job) { sendImage(t, j, "2.0", "6d", "image ") },
			`nosa-image-metal-x86_64, made by job "other", is of build 2.0, but nosa-build-x86_64, made by job "compose", is of 1.0; they are of different runs or attempts: run all jobs of the workflow again`},
		"the same id, another commit": {func(t *testing.T, j *Job) { sendImage(t, j, "1.0", "7e", "image ") },
			`nosa-image-metal-x86_64, made by job "other", is of commit ` + strings.Repeat("7e", 32) + `, but nosa-build-x86_64, made by job "compose", is of ` + strings.Repeat("6d", 32)},
		"another config": {func(t *testing.T, j *Job) { j.revision = "bad"; sendImage(t, j, "1.0", "6d", "image ") },
			`nosa-image-metal-x86_64, made by job "other", is of config revision bad, but nosa-build-x86_64, made by job "compose", is of c0ffee`},
		"the same build, other content": {func(t *testing.T, j *Job) {
			b, m := buildInto(t, j, "1.0", "6d")
			write(t, j, "builds/1.0/x86_64/commitmeta.json", "other")
			_, err := j.SendBuild(t.Context(), b, m)
			require.NoError(t, err)
		}, `nosa-build-x86_64, made by job "other", has other content of builds/1.0/x86_64/commitmeta.json than nosa-build-x86_64, made by job "compose",; they are of different runs`},
		"another architecture": {func(t *testing.T, j *Job) { j.Arch = testArch(t, "aarch64"); sendImage(t, j, "1.0", "6d", "image ") },
			"made for aarch64, not for x86_64"},
	} {
		t.Run(name, func(t *testing.T) {
			last := machine(t, "test")
			packs := pipeline(t, last)
			require.NoError(t, last.unpack(t.Context(), buildKind, packs["build"]))
			before := tree(t, last.Workdir, true)
			other := machine(t, "other")
			c.other(t, other)
			pack := deliver(t, other, last)
			kind := imageKind
			if strings.Contains(pack, "nosa-build") {
				kind = buildKind
			}

			err := last.unpack(t.Context(), kind, pack)

			require.ErrorContains(t, err, c.says)
			require.Equal(t, before, tree(t, last.Workdir, true), "nothing appears")
		})
	}
}

func sendImage(t *testing.T, j *Job, id, commit, content string) {
	t.Helper()
	b, _ := buildInto(t, j, id, commit)
	extendInto(t, j, "metal", content)
	_, err := j.SendImages(t.Context(), b, []string{"metal"})
	require.NoError(t, err)
}

// keep makes what actions/cache saves after a fetch.
func keep(t *testing.T, j *Job, key string) (entry string) {
	t.Helper()
	entry = filepath.Join(t.TempDir(), "entry")
	require.NoError(t, os.CopyFS(entry, os.DirFS(filepath.Join(j.Workdir, "cache/rpms"))))
	require.NoError(t, os.WriteFile(filepath.Join(entry, entryKey), []byte(key), 0o644))
	return entry
}

// restore does what actions/cache does with it.
func restore(t *testing.T, j *Job, entry string) {
	t.Helper()
	require.NoError(t, os.CopyFS(filepath.Join(j.temp, restored), os.DirFS(entry)))
}

const branchKey = cacheFormat + "-branch-nosa-x86_64-0123"

// TestPackagesOfTheRunBeforeAreReferredTo runs fetch twice, with the packages kept
// between the runs as actions/cache does it, and then build.
func TestPackagesOfTheRunBeforeAreReferredTo(t *testing.T) {
	first := machine(t, "fetch")
	fetchInto(t, first, "a-1.rpm", "b-1.rpm", "c-1.rpm")
	entry := keep(t, first, branchKey)

	second := machine(t, "fetch")
	restore(t, second, entry)
	require.NoError(t, second.NoteCache(t.Context()))
	fetchInto(t, second, "a-1.rpm", "b-2.rpm", "c-1.rpm")
	sent, err := second.SendCache(t.Context())
	require.NoError(t, err)
	require.Equal(t, "the cache entry "+branchKey, sent.Base.Name)
	require.Less(t, sent.Stored(), sent.Bytes()/2)

	build := machine(t, "build")
	deliver(t, second, build)
	key, err := BaseOfPackages(t.Context(), build.Step)
	require.NoError(t, err)
	require.Equal(t, branchKey, key)
	restore(t, build, entry)
	require.NoError(t, build.ReceiveCache(t.Context()))
	require.NoError(t, os.RemoveAll(filepath.Join(second.Workdir, "cache/repodata")))
	require.Equal(t, tree(t, filepath.Join(second.Workdir, "cache"), false), tree(t, filepath.Join(build.Workdir, "cache"), false))
	require.NoDirExists(t, filepath.Join(build.temp, restored))

	for name, c := range map[string]struct {
		spoil func(j *Job)
		says  string
	}{
		"evicted": {func(*Job) {}, "refers to content of the cache entry " + branchKey + ", which is not here; download that, too, or have the pack made without it"},
		"poisoned": {func(j *Job) {
			restore(t, j, entry)
			require.NoError(t, os.WriteFile(filepath.Join(j.temp, restored, "a-1.rpm"), []byte(strings.Repeat("poison of a-1.rpm!", 1000)), 0o644))
		}, "whose a-1.rpm has other content; run the job that made the pack again"},
	} {
		without := machine(t, "build")
		deliver(t, second, without)
		c.spoil(without)
		require.ErrorContains(t, without.ReceiveCache(t.Context()), c.says, name)
		require.Empty(t, tree(t, filepath.Join(without.Workdir, "cache"), false)["rpms"], name)
	}
}

func TestCacheEntriesOfOthersAreNotReferredTo(t *testing.T) {
	for name, key := range map[string]string{
		"none": "", "another pull request's": cacheFormat + "-pull-7-nosa-x86_64-0123", "another cache's": "node-modules-1",
		"a command": branchKey + "\n::set-output name=x::y", "a path": cacheFormat + "-branch-../../x",
	} {
		j := machine(t, "fetch")
		fetchInto(t, j, "a-1.rpm")
		restore(t, j, keep(t, j, key))
		require.NoError(t, j.NoteCache(t.Context()), name)
		require.Nil(t, j.entry, name)

		j.entry = &handoff.Base{}
		j.entry, _ = handoff.IndexBase(t.Context(), cacheEntry+key, filepath.Join(j.temp, restored), func(p string) bool { return p == entryKey })
		_, err := j.SendCache(t.Context())
		require.NoError(t, err, name)
		build := machine(t, "build")
		deliver(t, j, build)
		_, err = BaseOfPackages(t.Context(), build.Step)
		require.ErrorContains(t, err, "which is no cache entry that this run may read", name)
	}
}
