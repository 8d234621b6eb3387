package buildextend_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/image/imagetest"
	"github.com/nestos/nosa-actions/internal/imageconf"
	"github.com/nestos/nosa-actions/internal/stage/buildextend"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// place is a work directory with one build, of the small tree.
type place struct {
	t     *testing.T
	dir   *workdir.Dir
	build workdir.Build
}

func newPlace(t *testing.T, delayed bool) *place {
	t.Helper()
	testkit.NeedTool(t, "mksquashfs", "xorriso", "zstd", "mkfs.vfat", "mcopy", "mke2fs", "debugfs", "qemu-img", "bwrap", "ostree")
	root := t.TempDir()
	config := filepath.Join(root, "config")
	require.NoError(t, os.MkdirAll(filepath.Join(root, "src"), 0o755))
	imagetest.Host(t, "cp", "-r", "../../../examples/nestos-mini", config)
	require.NoError(t, os.Symlink(config, filepath.Join(root, "src/config")))
	dir, err := workdir.Create(root, arch.X86_64)
	require.NoError(t, err)

	tree := imagetest.SmallTree(t)
	conf, err := imageconf.Load(filepath.Join(config, "image.yaml"))
	require.NoError(t, err)
	text, err := conf.JSON()
	require.NoError(t, err)
	path := filepath.Join(tree, "usr/share/coreos-assembler/image.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, text, 0o644))
	_, checksum := imagetest.Commit(t, dir.Tmp(), tree)

	tmp, err := dir.BeginBuild("")
	require.NoError(t, err)
	require.NoError(t, workdir.WriteMeta(tmp, &workdir.Meta{
		BuildID: "1.0", Name: "mini", Ref: imagetest.Ref, OSTreeVersion: "1.0", OSTreeTimestamp: "2025-01-14T08:00:00Z", Basearch: "x86_64",
		OSTreeCommit: checksum, OSTreeContentChecksum: strings.Repeat("a1", 32), InputHash: strings.Repeat("77", 32),
		BuildTimestamp: "2025-01-14T08:03:10Z", ImageGenver: new(0), DelayedMetaMerge: &delayed,
	}))
	build, err := dir.Publish(tmp, "1.0")
	require.NoError(t, err)
	return &place{t: t, dir: dir, build: build}
}

func (p *place) extend(kinds ...image.Kind) ([]buildextend.Result, error) {
	p.t.Helper()
	return buildextend.Run(p.t.Context(), tool.Host{}, nil, p.dir, buildextend.Options{Kinds: kinds, Fast: true})
}

// clean checks that nothing is left of a run but what it made.
func (p *place) clean() {
	p.t.Helper()
	left, err := filepath.Glob(filepath.Join(p.dir.Tmp(), "*/scratch"))
	require.NoError(p.t, err)
	require.Empty(p.t, left)
	left, err = filepath.Glob(filepath.Join(p.build.Dir, ".*.building"))
	require.NoError(p.t, err)
	require.Empty(p.t, left)
	p.noMounts()
}

func (p *place) noMounts() {
	p.t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(p.t, err)
	require.NotContains(p.t, string(mounts), p.dir.Path)
}

func (p *place) image(name string) workdir.Image {
	p.t.Helper()
	record, path, err := p.build.Image(name)
	require.NoError(p.t, err)
	made, err := workdir.DescribeImage(path)
	require.NoError(p.t, err)
	require.Equal(p.t, made.SHA256, record.SHA256)
	return record
}

func TestLiveTakesTheMetalImageOfTheSameCall(t *testing.T) {
	p := newPlace(t, false)

	_, err := p.extend(image.Live)
	require.EqualError(t, err, "the live ISO carries the uncompressed metal image, which build 1.0 does not have; "+
		"run nosa buildextend metal live, or nosa uncompress")

	results, err := p.extend(image.Live, image.Metal)
	require.NoError(t, err)
	p.clean()
	require.Equal(t, p.build.Path("mini-1.0-live.x86_64.iso"), results[0].Path)
	require.Equal(t, []bool{true, true}, []bool{results[0].Made, results[1].Made})
	for _, name := range workdir.StageArtifacts("live") {
		record := p.image(name)
		require.True(t, record.SkipCompression)
		require.Zero(t, record.Size)
	}
	info := imagetest.Host(t, "sh", "-c", `cpio --quiet -i --to-stdout nestos-installer/metal.info <"$1"`, "sh", p.build.Path("mini-1.0-live-rootfs.x86_64.img"))
	require.True(t, strings.HasPrefix(info, p.image("metal").SHA256+" "), info)

	results, err = p.extend(image.Live)
	require.NoError(t, err)
	require.False(t, results[0].Made, "it is there already")
	require.Equal(t, p.build.Path("mini-1.0-live.x86_64.iso"), results[0].Path)
}

func TestLiveTakesTheImagesOfTheBuild(t *testing.T) {
	p := newPlace(t, true)
	_, err := p.extend(image.Metal, image.Metal4k)
	require.NoError(t, err)

	_, err = p.extend(image.Live)
	require.NoError(t, err)

	p.clean()
	require.FileExists(t, p.build.Path("meta.live.json"), "merging is delayed")
	p.image("live-kernel")
	members := imagetest.Host(t, "sh", "-c", `cpio --quiet -t <"$1"`, "sh", p.build.Path("mini-1.0-live-rootfs.x86_64.img"))
	require.Contains(t, members, "nestos-installer/metal.raw.zst")
	require.Contains(t, members, "nestos-installer/metal4k.raw.zst")
	_, _, err = p.build.Finalize(false)
	require.NoError(t, err)
	meta, err := p.build.Meta()
	require.NoError(t, err)
	require.Len(t, meta.Images, 6)
}

// What one call for several images records is what calls for each of them do, each
// in a file of its own until they are merged.
func TestOneCallRecordsAsSeveralDo(t *testing.T) {
	kinds := []image.Kind{image.Metal, image.Metal4k, image.QEMU, image.OpenStack, image.Live}
	together, apart := newPlace(t, true), newPlace(t, true)
	results, err := together.extend(kinds...)
	require.NoError(t, err)
	for i, kind := range kinds {
		_, err := apart.extend(kind)
		require.NoError(t, err)
		require.Equal(t, kind, results[i].Kind)
		require.True(t, results[i].Made)
	}
	together.clean()
	require.Equal(t, apart.records(), together.records())
	for _, kind := range kinds {
		require.Contains(t, together.records(), "meta."+string(kind)+".json")
	}
	for _, name := range []string{"metal", "metal4k", "qemu", "openstack", "live-iso", "live-kernel", "live-initramfs", "live-rootfs"} {
		together.image(name)
	}
}

// records are the build's metadata files, but for what differs from run to run.
func (p *place) records() map[string]any {
	p.t.Helper()
	files, err := filepath.Glob(p.build.Path("meta*.json"))
	require.NoError(p.t, err)
	all := map[string]any{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(p.t, err)
		var object map[string]any
		require.NoError(p.t, json.Unmarshal(text, &object))
		delete(object, "coreos-assembler.meta-stamp")
		delete(object, "ostree-commit")
		images, _ := object["images"].(map[string]any)
		for _, each := range images {
			image := each.(map[string]any)
			require.Len(p.t, image["sha256"], 64)
			image["sha256"] = "differs"
			if _, sized := image["size"]; sized {
				image["size"] = "differs"
			}
		}
		all[filepath.Base(file)] = object
	}
	return all
}

func TestAFixtureNeedsNoMetalImage(t *testing.T) {
	p := newPlace(t, false)
	_, err := buildextend.Run(t.Context(), tool.Host{}, nil, p.dir, buildextend.Options{Kinds: []image.Kind{image.Live}, Fixture: true})
	require.NoError(t, err)
	p.clean()
	text, err := os.ReadFile(p.build.Path("mini-1.0-live-rootfs.x86_64.img"))
	require.NoError(t, err)
	require.Equal(t, "rootfs data\n", string(text))
}

func TestImagesThatAreFinishedStay(t *testing.T) {
	p := newPlace(t, false)
	require.NoError(t, os.RemoveAll(filepath.Join(p.dir.Config(), "live")))
	_, err := p.extend(image.Metal, image.Live)
	require.ErrorContains(t, err, "live images need the boot menus of the config")
	p.clean()

	// A menu that cannot boot is found while metal is being made, or after.
	require.NoError(t, os.MkdirAll(filepath.Join(p.dir.Config(), "live"), 0o755))
	_, err = p.extend(image.Metal)
	require.NoError(t, err)
	_, err = p.extend(image.Live)
	require.ErrorContains(t, err, "has no EFI/*/grub.cfg")
	p.clean()
	p.image("metal")
}

func TestOnlyOneProcessMakesAnImage(t *testing.T) {
	p := newPlace(t, false)
	release, err := p.build.Claim("live")
	require.NoError(t, err)
	defer release()
	_, err = p.extend(image.Metal, image.Live)
	require.ErrorContains(t, err, "another process is building it")
	require.ErrorContains(t, err, "live of build 1.0")
}
