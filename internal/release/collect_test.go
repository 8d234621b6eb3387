package release

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/streammeta"
	"github.com/nestos/nosa-actions/internal/stage/releasejoin"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

const version = "24.03.20250114.0"

// small are limits that tests reach quickly.
var small = limits{asset: 2<<20 - 1, part: 1 << 20}

// world is a work directory in the making.
type world struct {
	id       string
	packages [][5]string
	change   func(*workdir.Meta)
	delayed  bool
	images   []string // besides ostree
}

// make publishes a build for an architecture in the work directory at path.
func (w world) make(t *testing.T, path string, a arch.Arch) string {
	t.Helper()
	d, err := workdir.Create(path, a)
	require.NoError(t, err)
	tmp, err := d.BeginBuild("test" + a.RPM)
	require.NoError(t, err)
	id := w.id
	if id == "" {
		id = version
	}
	m := &workdir.Meta{
		BuildID: id, Name: "nestos", Summary: "NestOS", OSTreeVersion: id, Ref: "nestos/" + a.RPM + "/stable", Basearch: a.RPM,
		OSTreeCommit: strings.Repeat("6d", 32), OSTreeContentChecksum: strings.Repeat("a1", 32), InputHash: strings.Repeat("77", 32),
		OSTreeTimestamp: "2025-01-14T08:00:00Z", BuildTimestamp: "2025-01-14T08:03:10Z", ConfigGitrev: "v1-3-gabc",
		ConfigGit: &workdir.Git{Commit: strings.Repeat("ab", 20), Origin: "https://example.org/c.git", Branch: "HEAD"}, DelayedMetaMerge: &w.delayed,
	}
	if w.change != nil {
		w.change(m)
	}
	addImage(t, tmp, m, "ostree", 3<<20)
	addImage(t, tmp, m, "oci-manifest", 700)
	packages := w.packages
	if packages == nil {
		packages = [][5]string{{"bash", "0", "5.2", "1.oe", a.RPM}, {"kernel", "1", "6.6", "2.oe", a.RPM}}
	}
	require.NoError(t, workdir.WriteCommitMeta(tmp, map[string]any{"nestos.stream": "stable", "rpmostree.rpmdb.pkglist": packages}))
	require.NoError(t, os.WriteFile(filepath.Join(tmp, "ostree-commit-object"), []byte("commit"), 0o444))
	require.NoError(t, workdir.WriteMeta(tmp, m))
	b, err := d.Publish(tmp, id)
	require.NoError(t, err)
	for _, name := range w.images {
		m, err := b.ArtifactMeta(name)
		require.NoError(t, err)
		addImage(t, b.Dir, m, name, 5<<20)
		require.NoError(t, b.Merge(name, m))
	}
	return path
}

// addImage makes an image of random bytes, the same each time.
func addImage(t *testing.T, dir string, m *workdir.Meta, name string, size int) {
	t.Helper()
	kind, err := workdir.FindImageKind(name)
	require.NoError(t, err)
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte([]byte((name + strings.Repeat(".", 32))[:32]))).Read(data)
	copy(data[size/2:], make([]byte, size/3)) // something to compress
	path := filepath.Join(dir, kind.FileName("nestos", m.BuildID, m.Basearch))
	require.NoError(t, os.WriteFile(path, data, 0o444))
	image, err := workdir.DescribeImage(path)
	require.NoError(t, err)
	image.SkipCompression = kind.SkipCompression
	m.SetImage(name, image)
}

func options(t *testing.T, dirs ...string) Options {
	return Options{
		Runner: tool.Host{}, Dirs: dirs, Out: filepath.Join(t.TempDir(), "out"), Owner: "nestos", Repo: "os", Tag: "v" + version, limits: small,
	}
}

func collect(t *testing.T, o Options) *Plan {
	t.Helper()
	p, err := Collect(t.Context(), o)
	require.NoError(t, err)
	return p
}

// bytesOfAsset reads what would be uploaded.
func bytesOfAsset(t *testing.T, a Asset) []byte {
	t.Helper()
	f, err := os.Open(a.Path)
	require.NoError(t, err)
	defer f.Close()
	data := make([]byte, a.Size)
	n, err := f.ReadAt(data, a.Offset)
	require.NoError(t, err)
	require.Equal(t, int(a.Size), n)
	return data
}

func assetNames(p *Plan) []string {
	var list []string
	for _, a := range p.Assets {
		list = append(list, a.Name)
	}
	return list
}

// download puts all assets into a directory, as a person would.
func download(t *testing.T, p *Plan) string {
	t.Helper()
	dir := t.TempDir()
	for _, a := range p.Assets {
		require.NoError(t, os.WriteFile(filepath.Join(dir, a.Name), bytesOfAsset(t, a), 0o644))
	}
	return dir
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	out, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: name, Args: args, Dir: dir})
	require.NoError(t, err)
	return string(out)
}

func TestTwoArchitecturesBecomeOneRelease(t *testing.T) {
	x86 := world{images: []string{"qemu", "metal"}, delayed: true}.make(t, t.TempDir(), arch.X86_64)
	arm := world{images: []string{"qemu"}}.make(t, t.TempDir(), arch.AArch64)

	p := collect(t, options(t, x86, arm))

	require.Equal(t, []string{
		"nestos-24.03.20250114.0-ostree.aarch64-manifest.json",
		"nestos-24.03.20250114.0-ostree.aarch64.ociarchive.part001", "nestos-24.03.20250114.0-ostree.aarch64.ociarchive.part002",
		"nestos-24.03.20250114.0-ostree.aarch64.ociarchive.part003",
		"nestos-24.03.20250114.0-qemu.aarch64.qcow2.gz.part001", "nestos-24.03.20250114.0-qemu.aarch64.qcow2.gz.part002",
		"nestos-24.03.20250114.0-qemu.aarch64.qcow2.gz.part003", "nestos-24.03.20250114.0-qemu.aarch64.qcow2.gz.part004",
		"nestos-24.03.20250114.0-metal.x86_64.raw.gz.part001", "nestos-24.03.20250114.0-metal.x86_64.raw.gz.part002",
		"nestos-24.03.20250114.0-metal.x86_64.raw.gz.part003", "nestos-24.03.20250114.0-metal.x86_64.raw.gz.part004",
		"nestos-24.03.20250114.0-ostree.x86_64-manifest.json",
		"nestos-24.03.20250114.0-ostree.x86_64.ociarchive.part001", "nestos-24.03.20250114.0-ostree.x86_64.ociarchive.part002",
		"nestos-24.03.20250114.0-ostree.x86_64.ociarchive.part003",
		"nestos-24.03.20250114.0-qemu.x86_64.qcow2.gz.part001", "nestos-24.03.20250114.0-qemu.x86_64.qcow2.gz.part002",
		"nestos-24.03.20250114.0-qemu.x86_64.qcow2.gz.part003", "nestos-24.03.20250114.0-qemu.x86_64.qcow2.gz.part004",
		"commitmeta.aarch64.json", "commitmeta.x86_64.json", "join.sh", "meta.aarch64.json", "meta.x86_64.json",
		"ostree-commit-object.aarch64", "ostree-commit-object.x86_64", "packages.aarch64.txt", "packages.x86_64.txt", "release.json",
		"sbom.aarch64.cdx.json", "sbom.aarch64.spdx.json", "sbom.x86_64.cdx.json", "sbom.x86_64.spdx.json", "stream.json",
		"assets.json", "SHA256SUMS",
	}, assetNames(p))
	require.Equal(t, "nestos 24.03.20250114.0", p.Name)
	require.False(t, p.Prerelease)

	dir := download(t, p)
	run(t, dir, "sha256sum", "--check", "--ignore-missing", "--strict", "SHA256SUMS")
	for name, join := range map[string]func(){
		"join.sh": func() { run(t, dir, "sh", "join.sh") },
		"nosa release join": func() {
			_, err := releasejoin.Run(t.Context(), releasejoin.Options{Dir: dir})
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			join()
			sums := run(t, dir, "sha256sum", "--check", "--strict", "SHA256SUMS")
			require.Contains(t, sums, "nestos-24.03.20250114.0-qemu.x86_64.qcow2.gz: OK")
			plain := run(t, dir, "gzip", "-dc", "nestos-24.03.20250114.0-qemu.x86_64.qcow2.gz")
			want, err := os.ReadFile(filepath.Join(x86, "builds/latest/x86_64/nestos-24.03.20250114.0-qemu.x86_64.qcow2"))
			require.NoError(t, err)
			require.True(t, string(want) == plain)
			joined, err := filepath.Glob(filepath.Join(dir, "*.gz"))
			require.NoError(t, err)
			for _, path := range joined {
				require.NoError(t, os.Remove(path))
			}
		})
	}
}

func TestTheMetadataSaysWhatThereIs(t *testing.T) {
	dir := world{images: []string{"qemu"}}.make(t, t.TempDir(), arch.X86_64)
	o := options(t, dir)
	o.limits = limits{asset: 1 << 22, part: 1 << 21} // the archive is whole

	p := collect(t, o)

	assets := download(t, p)
	data, err := os.ReadFile(filepath.Join(assets, "release.json"))
	require.NoError(t, err)
	testkit.FitsSchema(t, "../format/streammeta/testdata/release.schema.json", data)
	r, err := streammeta.ParseRelease(data)
	require.NoError(t, err)
	require.Equal(t, "stable", r.Stream)
	stream, err := os.ReadFile(filepath.Join(assets, "stream.json"))
	require.NoError(t, err)
	testkit.FitsSchema(t, "../format/streammeta/testdata/stream.schema.json", stream)
	disk := r.Architectures["x86_64"].Media["qemu"].Artifacts["qcow2.gz"].Disk
	name := "nestos-24.03.20250114.0-qemu.x86_64.qcow2.gz"
	require.Equal(t, "https://github.com/nestos/os/releases/download/v24.03.20250114.0/"+name, disk.Location)
	i := slices.IndexFunc(p.Assets, func(a Asset) bool { return a.Name == name })
	require.Equal(t, p.Assets[i].SHA256, disk.SHA256)
	require.Equal(t, "application/gzip", p.Assets[i].ContentType)

	// meta.json is that of what can be downloaded: put back, it is a build.
	again := t.TempDir()
	d, err := workdir.Create(again, arch.X86_64)
	require.NoError(t, err)
	tmp, err := d.BeginBuild("again")
	require.NoError(t, err)
	require.NoError(t, os.Rename(filepath.Join(assets, "meta.x86_64.json"), filepath.Join(tmp, "meta.json")))
	for _, file := range []string{name, "nestos-24.03.20250114.0-ostree.x86_64.ociarchive", "nestos-24.03.20250114.0-ostree.x86_64-manifest.json"} {
		require.NoError(t, os.Rename(filepath.Join(assets, file), filepath.Join(tmp, file)))
	}
	_, err = d.Publish(tmp, version)
	require.NoError(t, err)
	b, err := d.Latest()
	require.NoError(t, err)
	image, path, err := b.Image("qemu")
	require.NoError(t, err)
	found, err := workdir.DescribeImage(path)
	require.NoError(t, err)
	require.Equal(t, found.SHA256, image.SHA256)
	require.Equal(t, disk.SHA256, image.SHA256)
	require.Equal(t, *disk.UncompressedSHA256, image.UncompressedSHA256)
}

func TestTheSameBuildGivesTheSameBytes(t *testing.T) {
	dir := world{images: []string{"qemu"}}.make(t, t.TempDir(), arch.X86_64)
	a, b := collect(t, options(t, dir)), collect(t, options(t, dir))
	require.Equal(t, a.Notes, b.Notes)
	for i := range a.Assets {
		a.Assets[i].Path, b.Assets[i].Path = "", ""
	}
	require.Equal(t, a, b)
}

func TestImagesAreNotCopiedAndBuildsStay(t *testing.T) {
	dir := world{images: []string{"qemu"}}.make(t, t.TempDir(), arch.X86_64)
	before := run(t, dir, "find", "builds", "-printf", "%p %s %t %m\n")
	p := collect(t, options(t, dir))
	require.Equal(t, before, run(t, dir, "find", "builds", "-printf", "%p %s %t %m\n"))
	for _, a := range p.Assets {
		if strings.Contains(a.Name, "ociarchive") {
			require.True(t, strings.HasPrefix(a.Path, dir))
		}
	}
}

// Bad input is refused with all that is wrong, and a mend.
func TestWhatIsRefused(t *testing.T) {
	qemu := func(dir string) string {
		return filepath.Join(dir, "builds/latest/x86_64/nestos-24.03.20250114.0-qemu.x86_64.qcow2")
	}
	for name, c := range map[string]struct {
		world  world
		change func(t *testing.T, dir string, o *Options)
		want   string
	}{
		"no tag":      {change: func(_ *testing.T, _ string, o *Options) { o.Tag = "" }, want: "there is no tag to release; run on"},
		"wrong tag":   {change: func(_ *testing.T, _ string, o *Options) { o.Tag = "v24.03.20250115.0" }, want: "tag v24.03.20250115.0 does not fit build 24.03.20250114.0"},
		"rebuild":     {change: func(_ *testing.T, _ string, o *Options) { o.Tag = version + "-5" }, want: "does not fit"},
		"no builds":   {change: func(t *testing.T, _ string, o *Options) { o.Dirs = []string{t.TempDir()} }, want: "has no builds; give a directory"},
		"no dir":      {change: func(_ *testing.T, _ string, o *Options) { o.Dirs = nil }, want: "no work directory is given"},
		"compressor":  {change: func(_ *testing.T, _ string, o *Options) { o.Compressor = "zip" }, want: `compressor "zip" is not one of gzip, xz, zstd; or write none`},
		"no template": {change: func(_ *testing.T, _ string, o *Options) { o.Template = "absent.md" }, want: "no template for the release notes"},
		"bad template": {change: func(t *testing.T, _ string, o *Options) {
			o.Template = filepath.Join(t.TempDir(), "notes.md")
			require.NoError(t, os.WriteFile(o.Template, []byte("# {{.Nme}}\n"), 0o644))
		}, want: "can't evaluate field Nme"},
		"missing image": {change: func(t *testing.T, dir string, _ *Options) { require.NoError(t, os.Remove(qemu(dir))) }, want: "image qemu is in meta.json, but its file"},
		"cut image":     {change: func(t *testing.T, dir string, _ *Options) { require.NoError(t, os.Truncate(qemu(dir), 77)) }, want: "has 77 bytes, and meta.json says 5242880"},
		"changed image": {change: func(t *testing.T, dir string, _ *Options) {
			require.NoError(t, os.Chmod(qemu(dir), 0o644))
			f, err := os.OpenFile(qemu(dir), os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = f.WriteAt([]byte("x"), 4711)
			require.NoError(t, err)
			require.NoError(t, f.Close())
		}, want: "image qemu has the sha256"},
		"changed exempt image": {change: func(t *testing.T, dir string, o *Options) {
			o.Compressor = "none"
			require.NoError(t, os.Rename(qemu(dir), qemu(dir)+".x"))
			require.NoError(t, os.WriteFile(qemu(dir), make([]byte, 5<<20), 0o644))
		}, want: "image qemu has the sha256"},
		"another build of another architecture": {change: func(t *testing.T, _ string, o *Options) {
			o.Dirs = append(o.Dirs, world{id: "24.03.20250114.1"}.make(t, t.TempDir(), arch.AArch64))
		}, want: "the architectures are of different builds: aarch64: 24.03.20250114.1, x86_64: 24.03.20250114.0"},
		"in one directory too": {change: func(t *testing.T, dir string, _ *Options) {
			world{id: "24.03.20250113.0"}.make(t, dir, arch.AArch64)
		}, want: "the architectures are of different builds"},
		"another config": {change: func(t *testing.T, _ string, o *Options) {
			w := world{change: func(m *workdir.Meta) { m.ConfigGit.Commit = strings.Repeat("cd", 20) }}
			o.Dirs = append(o.Dirs, w.make(t, t.TempDir(), arch.AArch64))
		}, want: "are different builds (coreos-assembler.container-config-git)"},
		"conflicting metadata": {change: func(t *testing.T, _ string, o *Options) {
			w := world{change: func(m *workdir.Meta) { m.OSTreeCommit = strings.Repeat("ee", 32) }}
			o.Dirs = append(o.Dirs, w.make(t, t.TempDir(), arch.X86_64))
		}, want: "two work directories have different metadata (ostree-commit)"},
		"missing architecture": {change: func(_ *testing.T, _ string, o *Options) { o.Arches = []string{"x86_64", "riscv64"} }, want: "build 24.03.20250114.0 for riscv64 is not here"},
		"listed architecture": {change: func(t *testing.T, dir string, _ *Options) {
			world{}.make(t, dir, arch.AArch64)
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "builds", version, "aarch64")))
		}, want: "build 24.03.20250114.0 for aarch64 is not here"},
		"a path that leads out": {change: func(t *testing.T, dir string, _ *Options) {
			path := filepath.Join(dir, "builds/latest/x86_64/meta.json")
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			data = bytes.Replace(data, []byte(filepath.Base(qemu(dir))), []byte(".."), 1)
			require.NoError(t, os.WriteFile(path, data, 0o644))
		}, want: `image qemu has the path ".."`},
		"a link": {change: func(t *testing.T, dir string, _ *Options) {
			require.NoError(t, os.Remove(qemu(dir)))
			require.NoError(t, os.Symlink("/etc/passwd", qemu(dir)))
		}, want: "is no regular file"},
		"a key that is none": {change: func(_ *testing.T, _ string, o *Options) { o.SigningKey = "s3cret" }, want: "the signing key is not one private key"},
	} {
		t.Run(name, func(t *testing.T) {
			c.world.images = append(c.world.images, "qemu")
			dir := c.world.make(t, t.TempDir(), arch.X86_64)
			o := options(t, dir)
			if c.change != nil {
				c.change(t, dir, &o)
			}

			_, err := Collect(t.Context(), o)

			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "s3cret")
			for _, f := range diag.Findings(err) {
				require.NotEmpty(t, f.Mend, f.Message)
			}
			require.NotEmpty(t, diag.Findings(err))
		})
	}
}

// A merged record that is of another commit than the build is no part of it.
func TestDelayedRecordsOfAnotherBuildAreRefused(t *testing.T) {
	dir := world{images: []string{"qemu"}, delayed: true}.make(t, t.TempDir(), arch.X86_64)
	path := filepath.Join(dir, "builds/latest/x86_64/meta.qemu.json")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	changed := strings.ReplaceAll(string(data), strings.Repeat("6d", 32), strings.Repeat("ee", 32))
	require.NoError(t, os.WriteFile(path, []byte(changed), 0o644))

	_, err = Collect(t.Context(), options(t, dir))

	require.ErrorContains(t, err, "unable to merge")
}

func TestChangesSinceTheReleaseBefore(t *testing.T) {
	dir := world{packages: [][5]string{
		{"bash", "0", "5.2", "1", "x86_64"}, {"new", "0", "1", "1", "noarch"}, {"kernel", "0", "6.6", "10", "x86_64"},
		{"kernel", "0", "6.6", "9", "x86_64"}, {"down", "0", "1.9", "1", "x86_64"}, {"epoch", "1", "1", "1", "x86_64"},
	}}.make(t, t.TempDir(), arch.X86_64)
	previous := t.TempDir()
	require.NoError(t, workdir.WriteCommitMeta(previous, map[string]any{"rpmostree.rpmdb.pkglist": [][5]string{
		{"bash", "0", "5.2", "1", "x86_64"}, {"gone", "0", "1", "1", "noarch"}, {"kernel", "0", "6.6", "8", "x86_64"},
		{"kernel", "0", "6.6", "9", "x86_64"}, {"down", "0", "1.10", "1", "x86_64"}, {"epoch", "0", "2", "1", "x86_64"},
	}}))
	require.NoError(t, os.Rename(filepath.Join(previous, "commitmeta.json"), filepath.Join(previous, CommitMetaName("x86_64"))))
	o := options(t, dir)
	o.Previous, o.PreviousTag = previous, "v24.03.20250101.0"

	p := collect(t, o)

	for _, line := range []string{
		"| down | downgraded | 1.10-1 | 1.9-1 |", "| epoch | upgraded | 2-1 | 1&#58;1-1 |", "| gone | removed | 1-1 |  |",
		"| kernel | upgraded | 6.6-8 | 6.6-10 |", "| new | added |  | 1-1 |", "6 packages, changed since v24.03.20250101.0:",
	} {
		require.Contains(t, p.Notes, line)
	}
	require.NotContains(t, p.Notes, "| bash |")
	data, err := os.ReadFile(filepath.Join(download(t, p), "changes.x86_64.json"))
	require.NoError(t, err)
	var entries [][3]any
	require.NoError(t, json.Unmarshal(data, &entries))
	require.Equal(t, "down", entries[0][0])
	require.Equal(t, 3.0, entries[0][1])
	require.Equal(t, map[string]any{"PreviousPackage": []any{"down", "1.10-1", "x86_64"}, "NewPackage": []any{"down", "1.9-1", "x86_64"}}, entries[0][2])
}

// GitHub takes 2^31-1 bytes and no more.
func TestSizesAroundTheLimit(t *testing.T) {
	for size, parts := range map[int64]int{1<<31 - 1: 1, 1 << 31: 2, 1<<31 + 1: 3, 3 << 30: 3, 3<<30 + 5: 4} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			d := digest{size: size, sha256: "whole"}
			if n := int((size + github.part - 1) / github.part); size > github.asset {
				d.parts = make([]string, n)
			}
			assets := sections("f", "/f", "", d, github)
			require.Len(t, assets, parts)
			var next int64
			for _, a := range assets {
				require.Equal(t, next, a.Offset)
				require.Greater(t, a.Size, int64(0))
				require.LessOrEqual(t, a.Size, github.asset)
				next += a.Size
			}
			require.Equal(t, size, next)
		})
	}
}

// The same at GitHub's own limits, with a file that is a hole.
func TestAFileAboveTheLimit(t *testing.T) {
	if os.Getenv("NOSA_TEST_ALL") == "" {
		t.Skip("hashes 2 GiB; set NOSA_TEST_ALL")
	}
	path := filepath.Join(t.TempDir(), "image")
	require.NoError(t, os.WriteFile(path, nil, 0o644))
	require.NoError(t, os.Truncate(path, 1<<31+1))

	d, err := sumFile(path, github, guard(t.Context()))

	require.NoError(t, err)
	require.Len(t, d.parts, 3)
	require.Equal(t, d.parts[0], d.parts[1])
	require.Equal(t, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", d.parts[2], "one zero byte")
}
