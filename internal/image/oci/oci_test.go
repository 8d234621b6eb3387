package oci_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/format/ostreerepo/repotest"
	"github.com/nestos/nosa-actions/internal/image/oci"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

// packages own most of repotest.Tree; the link's target and the kernel are left
// to nobody.
var packages = []oci.PackageFiles{
	{Name: "coreutils", Paths: []string{"/usr/bin", "/usr/bin/tool", "/usr/bin/tool-hard", "/usr/bin/sh"}},
	{Name: "iputils", Paths: []string{"/usr/bin/ping", "/usr/share/copy-1"}},
	{Name: "util-linux", Source: "util-linux", Paths: []string{"/usr/bin/su", "/usr/share/copy-2", "/not/there"}},
	{Name: "libmount", Source: "util-linux", Paths: []string{"/usr/bin/game", "/usr/lib/empty", "/usr/lib/secret"}},
	{Name: "setup", Paths: []string{"/etc/app.conf"}},
}

// fixture is a repository with repotest.Tree and how to export it.
type fixture struct {
	repo, commit string
	in           oci.ExportInput
}

// scratch outlives the tests that share a fixture.
var (
	scratch string
	shared  = map[string]fixture{}
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "oci-test-")
	if err != nil {
		panic(err)
	}
	scratch = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// newFixture gives the shared repository of the mode, to which a test may add
// commits, with an output of its own.
func newFixture(t *testing.T, mode string) fixture {
	f, ok := shared[mode]
	if !ok {
		tree := repotest.Tree(t)
		f.repo = repotest.InitAt(t, filepath.Join(scratch, mode), mode)
		f.commit = repotest.Commit(t, f.repo, tree)
		shared[mode] = f
	}
	f.in = oci.ExportInput{
		Repo: f.repo, Commit: f.commit, Output: filepath.Join(t.TempDir(), "out.ociarchive"),
		Arch: arch.AArch64, Packages: packages,
		Labels: map[string]string{"nestos.stream": "stable"},
	}
	return f
}

func (f fixture) export(t *testing.T) v1.Manifest {
	raw, err := oci.Export(t.Context(), tool.Host{}, f.in)
	require.NoError(t, err)
	return parse(t, raw)
}

func parse(t *testing.T, raw []byte) (m v1.Manifest) {
	require.NoError(t, json.Unmarshal(raw, &m))
	return m
}

func components(m v1.Manifest) (list []string) {
	for _, l := range m.Layers {
		list = append(list, l.Annotations["ostree.components"])
	}
	return list
}

func TestRoundTripKeepsEverything(t *testing.T) {
	for _, from := range []string{"archive", "bare"} {
		f := newFixture(t, from)
		f.export(t)
		for _, to := range []string{"archive", "bare", "bare-user"} {
			t.Run(from+" to "+to, func(t *testing.T) {
				repo := repotest.Init(t, to)
				commit, err := oci.Import(t.Context(), tool.Host{}, f.in.Output, repo)
				require.NoError(t, err)
				require.Equal(t, f.commit, commit)
				repotest.Ostree(t, "fsck", "--repo="+repo)
				require.Equal(t, repotest.List(t, f.repo, commit), repotest.List(t, repo, commit))
			})
		}
	}
}

func TestDetachedMetadataTravels(t *testing.T) {
	f := newFixture(t, "archive")
	meta := filepath.Join(f.repo, "objects", f.commit[:2], f.commit[2:]+".commitmeta")
	require.NoError(t, os.WriteFile(meta, []byte("k\x00\x00\x00\x00\x00\x00\x00v\x00\x00s\x02\x0d"), 0o644))
	defer os.Remove(meta)
	f.export(t)
	repo := repotest.Init(t, "bare-user")
	_, err := oci.Import(t.Context(), tool.Host{}, f.in.Output, repo)
	require.NoError(t, err)
	require.Contains(t, repotest.Ostree(t, "show", "--repo="+repo, "--print-detached-metadata-key=k", f.commit), "v")
}

// libostree itself reads the repository that the layers make when unpacked.
func TestLayersUnpackToARepositoryThatOstreeAccepts(t *testing.T) {
	testkit.NeedTool(t, "tar", "ostree")
	f := newFixture(t, "archive")
	m := f.export(t)
	root := unpack(t, f.in.Output, m)

	repo := filepath.Join(root, "sysroot/ostree/repo")
	repotest.Ostree(t, "fsck", "--repo="+repo, f.commit)
	require.Equal(t, repotest.List(t, f.repo, f.commit), repotest.List(t, repo, f.commit))

	// And the file system beside it is the tree, /usr/etc being /etc.
	conf, err := os.ReadFile(filepath.Join(root, "etc/app.conf"))
	require.NoError(t, err)
	require.Equal(t, "key=value\n", string(conf))
	require.NoDirExists(t, filepath.Join(root, "usr/etc"))
	info, err := os.Stat(filepath.Join(root, "usr/bin/su"))
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSetuid)
	info, err = os.Stat(filepath.Join(root, "tmp"))
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSticky)
	target, err := os.Readlink(filepath.Join(root, "usr/lib/dangling"))
	require.NoError(t, err)
	require.Equal(t, "/no//where/../at/all", target)
	first, second := inode(t, root+"/usr/lib/empty"), inode(t, root+"/usr/lib/empty-too")
	require.NotEqual(t, first, second, "empty files must not share an inode")
	require.Equal(t, inode(t, root+"/usr/share/copy-1"), inode(t, root+"/usr/share/copy-2"))
}

func inode(t *testing.T, path string) any {
	info, err := os.Stat(path)
	require.NoError(t, err)
	return sysInode(info)
}

// unpack lays the layers over one another as a container runtime does.
func unpack(t *testing.T, archive string, m v1.Manifest) string {
	layout, root := t.TempDir(), t.TempDir()
	run(t, "tar", "-xf", archive, "-C", layout)
	for _, l := range m.Layers {
		run(t, "tar", "-xzpf", filepath.Join(layout, "blobs/sha256", l.Digest.Encoded()), "-C", root, "--same-owner")
	}
	return root
}

func run(t *testing.T, name string, args ...string) string {
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: name, Args: args})
	require.NoError(t, err)
	return string(out)
}

func TestContainerToolsReadTheArchive(t *testing.T) {
	testkit.NeedTool(t, "skopeo")
	f := newFixture(t, "archive")
	m := f.export(t)
	var seen struct {
		Architecture string
		Labels       map[string]string
		Layers       []string
		Created      time.Time
	}
	require.NoError(t, json.Unmarshal([]byte(run(t, "skopeo", "inspect", "oci-archive:"+f.in.Output+":latest")), &seen))
	require.Equal(t, "arm64", seen.Architecture)
	require.Equal(t, m.Annotations, seen.Labels)
	require.Equal(t, time.Unix(1700000000, 0).UTC(), seen.Created)
	require.Len(t, seen.Layers, len(m.Layers))
	// A copy makes it verify every blob.
	run(t, "skopeo", "copy", "--insecure-policy", "oci-archive:"+f.in.Output+":latest", "dir:"+t.TempDir())
}

func TestLabelsSayWhatTheCommitSays(t *testing.T) {
	f := newFixture(t, "archive")
	f.export(t)
	img, err := oci.Inspect(f.in.Output)
	require.NoError(t, err)
	require.Equal(t, f.commit, img.Commit)
	final := img.Labels["ostree.final-diffid"]
	require.True(t, strings.HasPrefix(final, "sha256:"), final)
	delete(img.Labels, "ostree.final-diffid")
	require.Equal(t, map[string]string{
		"ostree.commit": f.commit, "ostree.bootable": "true", "ostree.linux": "6.6", "containers.bootc": "1",
		"version": "24.03.1", "org.opencontainers.image.version": "24.03.1", "nestos.stream": "stable",
	}, img.Labels)
	require.Equal(t, []string{"/sbin/init", "--now"}, config(t, f.in.Output).Config.Cmd)
}

func config(t *testing.T, archive string) (c v1.Image) {
	out := run(t, "tar", "-xOf", archive, "index.json")
	var index v1.Index
	require.NoError(t, json.Unmarshal([]byte(out), &index))
	m := parse(t, []byte(run(t, "tar", "-xOf", archive, "blobs/sha256/"+index.Manifests[0].Digest.Encoded())))
	require.NoError(t, json.Unmarshal([]byte(run(t, "tar", "-xOf", archive, "blobs/sha256/"+m.Config.Digest.Encoded())), &c))
	return c
}

func TestSameInputSameBytes(t *testing.T) {
	f := newFixture(t, "archive")
	var outputs [][]byte
	for _, jobs := range []int{1, 2, 7} {
		f.in.Jobs = jobs
		f.export(t)
		data, err := os.ReadFile(f.in.Output)
		require.NoError(t, err)
		outputs = append(outputs, data)
	}
	for _, other := range outputs[1:] {
		require.True(t, bytes.Equal(outputs[0], other), "the number of jobs changes the bytes")
	}
	left, err := os.ReadDir(filepath.Dir(f.in.Output))
	require.NoError(t, err)
	require.Len(t, left, 1, "scratch files are left behind")
}

func TestPackagesShareALayerWithTheirSource(t *testing.T) {
	f := newFixture(t, "archive")
	require.Equal(t, []string{"", "unpackaged", "libmount,util-linux", "iputils", "coreutils", "setup"},
		components(f.export(t)))
	f.in.MaxLayers = 3
	limited := components(f.export(t))
	require.Len(t, limited, 4, "the commit's layer comes on top")
	require.Equal(t, "unpackaged", limited[1])
}

func TestOneChangedPackageChangesItsLayerOnly(t *testing.T) {
	tree := repotest.Tree(t)
	repo := repotest.Init(t, "archive")
	in := oci.ExportInput{Repo: repo, Output: filepath.Join(t.TempDir(), "o"), Arch: arch.X86_64, Packages: packages, MaxLayers: 4}
	in.Commit = repotest.Commit(t, repo, tree)
	before, err := oci.Export(t.Context(), tool.Host{}, in)
	require.NoError(t, err)

	// iputils grows to be the biggest of all, which without the manifest of the
	// build before would move everything.
	require.NoError(t, os.WriteFile(filepath.Join(tree, "usr/bin/ping"), []byte(repotest.Noise(300_000)), 0o755))
	in.Commit, in.Previous = repotest.Commit(t, repo, tree), before
	after, err := oci.Export(t.Context(), tool.Host{}, in)
	require.NoError(t, err)

	old, now := parse(t, before), parse(t, after)
	require.Equal(t, components(old), components(now))
	var changed []string
	for i := range now.Layers {
		if old.Layers[i].Digest != now.Layers[i].Digest {
			changed = append(changed, components(now)[i])
		}
	}
	require.Len(t, changed, 2)
	require.Empty(t, changed[0], "the commit's layer")
	require.Contains(t, changed[1], "iputils")
}

func TestExportExplainsItself(t *testing.T) {
	f := newFixture(t, "archive")
	for want, change := range map[string]func(*oci.ExportInput){
		"not in the repository":         func(in *oci.ExportInput) { in.Commit = strings.Repeat("0", 64) },
		"cannot be the name of a":       func(in *oci.ExportInput) { in.Packages = []oci.PackageFiles{{Name: "a,b"}} },
		"manifest of the previous":      func(in *oci.ExportInput) { in.Previous = []byte("<html>") },
		"1 layers are too few":          func(in *oci.ExportInput) { in.MaxLayers = 1 },
		"no such file or directory":     func(in *oci.ExportInput) { in.Repo += "-not" },
		"cannot be shown in a containe": func(in *oci.ExportInput) { in.Commit = etcCommit(t, in.Repo) },
	} {
		in := f.in
		change(&in)
		_, err := oci.Export(t.Context(), tool.Host{}, in)
		require.ErrorContains(t, err, want)
		require.NoFileExists(t, in.Output)
	}
}

func etcCommit(t *testing.T, repo string) string {
	tree := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(tree, "etc"), 0o755))
	return repotest.Commit(t, repo, tree)
}
