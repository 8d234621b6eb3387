package compress_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/stage/compress"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
	"github.com/nestos/nosa-actions/internal/workdir"
)

// disk is text, a hole of 1 MiB, and a last byte.
func disk() []byte {
	data := make([]byte, 1<<20+8<<10+1)
	copy(data, strings.Repeat("partition ", 400))
	data[len(data)-1] = 'x'
	return data
}

// build publishes one build for each architecture with the images ostree,
// oci-manifest, qemu and live-rootfs.
func build(t *testing.T) *workdir.Dir {
	t.Helper()
	path := t.TempDir()
	var d *workdir.Dir
	for _, a := range []arch.Arch{arch.AArch64, arch.X86_64} {
		var err error
		d, err = workdir.Create(path, a)
		require.NoError(t, err)
		tmp := filepath.Join(d.Tmp(), "made")
		require.NoError(t, os.Mkdir(tmp, 0o755))
		hash := strings.Repeat("0", 64)
		m := &workdir.Meta{
			BuildID: "1", Name: "os", OSTreeCommit: hash, OSTreeContentChecksum: hash, InputHash: hash,
			OSTreeVersion: "1", OSTreeTimestamp: "2025-01-14T08:00:00Z",
		}
		for _, name := range []string{"ostree", "oci-manifest", "qemu", "live-rootfs"} {
			kind, err := workdir.FindImageKind(name)
			require.NoError(t, err)
			file := filepath.Join(tmp, kind.FileName("os", "1", a.RPM))
			require.NoError(t, os.WriteFile(file, append(disk(), name...), 0o644))
			image, err := workdir.DescribeImage(file)
			require.NoError(t, err)
			m.SetImage(name, image) // without skip-compression, as upstream writes oci-manifest
		}
		require.NoError(t, workdir.WriteMeta(tmp, m))
		_, err = d.Publish(tmp, "1")
		require.NoError(t, err)
	}
	return d
}

func options(d *workdir.Dir, compressor string) compress.Options {
	return compress.Options{Workdir: d, Runner: tool.Host{}, Compressor: compressor, Fast: true}
}

func image(t *testing.T, d *workdir.Dir, name string) (workdir.Image, string) {
	t.Helper()
	b, err := d.Latest()
	require.NoError(t, err)
	image, path, err := b.Image(name)
	require.NoError(t, err)
	return image, path
}

// files are the names in the build's directory of the architecture.
func files(t *testing.T, d *workdir.Dir) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(d.BuildsDir(), "1", d.Arch.RPM))
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "os-") {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestThereAndBack(t *testing.T) {
	for compressor, ext := range map[string]string{"gzip": ".gz", "xz": ".xz", "zstd": ".zst"} {
		t.Run(compressor, func(t *testing.T) {
			testkit.NeedTool(t, compressor)
			d := build(t)
			before, plain := image(t, d, "qemu")

			changes, err := compress.Compress(t.Context(), options(d, compressor))

			require.NoError(t, err)
			require.Len(t, changes, 2, "qemu of two architectures; the other images are exempt")
			packed, path := image(t, d, "qemu")
			require.Equal(t, plain+ext, path)
			require.NoFileExists(t, plain)
			require.Equal(t, before.SHA256, packed.UncompressedSHA256)
			require.Equal(t, before.Size, packed.UncompressedSize)
			described, err := workdir.DescribeImage(path)
			require.NoError(t, err)
			require.Equal(t, [2]any{described.SHA256, described.Size}, [2]any{packed.SHA256, packed.Size})
			require.Less(t, packed.Size, before.Size/10)
			_, err = tool.Host{}.Run(t.Context(), tool.Cmd{Name: compressor, Args: []string{"--test", path}})
			require.NoError(t, err)
			changes, err = compress.Compress(t.Context(), options(d, compressor))
			require.NoError(t, err)
			require.Empty(t, changes)

			changes, err = compress.Uncompress(t.Context(), options(d, ""))

			require.NoError(t, err)
			require.Len(t, changes, 2)
			after, path := image(t, d, "qemu")
			require.Equal(t, before, after, "as if nothing had happened")
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, append(disk(), "qemu"...), data)
			var stat unix.Stat_t
			require.NoError(t, unix.Stat(path, &stat))
			require.Less(t, stat.Blocks*512, int64(64<<10), "zeros become a hole")
			require.Equal(t, uint32(0o444), stat.Mode&0o7777)
			require.Len(t, files(t, d), 4)
		})
	}
}

func TestARunThatWasKilledIsFinishedByTheNext(t *testing.T) {
	d := build(t)
	_, plain := image(t, d, "qemu")
	content, err := os.ReadFile(plain)
	require.NoError(t, err)

	// Killed after the new file was moved in.
	require.NoError(t, os.WriteFile(plain+".gz", []byte("half of a file of another run"), 0o444))
	_, err = compress.Compress(t.Context(), options(d, "gzip"))
	require.NoError(t, err)
	packed, path := image(t, d, "qemu")
	described, err := workdir.DescribeImage(path)
	require.NoError(t, err)
	require.Equal(t, packed.SHA256, described.SHA256)

	// Killed before the old one went.
	require.NoError(t, os.WriteFile(plain, content, 0o444))
	changes, err := compress.Compress(t.Context(), options(d, "gzip"))
	require.NoError(t, err)
	require.Empty(t, changes)
	require.NoFileExists(t, plain)
	require.FileExists(t, path)

	// The same on the way back.
	_, err = compress.Uncompress(t.Context(), options(d, ""))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte("x"), 0o444))
	_, err = compress.Uncompress(t.Context(), options(d, ""))
	require.NoError(t, err)
	require.NoFileExists(t, path)
	require.FileExists(t, plain)
}

func TestAFileThatIsNotAsRecordedIsLeftAlone(t *testing.T) {
	d := build(t)
	_, plain := image(t, d, "qemu")
	content, err := os.ReadFile(plain)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(plain, 0o644))
	require.NoError(t, os.WriteFile(plain, []byte("other"), 0o644))
	_, err = compress.Compress(t.Context(), options(d, "zstd"))
	require.ErrorContains(t, err, "build 1 for x86_64: qemu: os-1-qemu.x86_64.qcow2 has the sha256 ")
	require.FileExists(t, plain)
	require.NoFileExists(t, plain+".zst")

	require.NoError(t, os.WriteFile(plain, content, 0o644))
	_, err = compress.Compress(t.Context(), options(d, "zstd"))
	require.NoError(t, err)
	packed := plain + ".zst"
	require.NoError(t, os.Chmod(packed, 0o644))
	require.NoError(t, os.Truncate(packed, 100))
	_, err = compress.Uncompress(t.Context(), options(d, ""))
	require.ErrorContains(t, err, "os-1-qemu.x86_64.qcow2.zst has the sha256 ")
	require.FileExists(t, packed)
	require.NoFileExists(t, plain)
	entries, err := os.ReadDir(filepath.Join(d.Tmp(), "compress"))
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestContentThatIsNotAsRecordedIsNotRestored(t *testing.T) {
	d := build(t)
	_, err := compress.Compress(t.Context(), options(d, "gzip"))
	require.NoError(t, err)
	b, err := d.Latest()
	require.NoError(t, err)
	require.NoError(t, b.Update(func(m *workdir.Meta) error {
		image := m.Images["qemu"]
		image.UncompressedSHA256 = strings.Repeat("a", 64)
		m.Images["qemu"] = image
		return nil
	}))
	_, err = compress.Uncompress(t.Context(), options(d, ""))
	require.ErrorContains(t, err, "os-1-qemu.x86_64.qcow2.gz holds content with the sha256 ")
	_, path := image(t, d, "qemu")
	require.FileExists(t, path)
}

func TestWhatDoesNotLieHereIsPassedOverUnlessNamed(t *testing.T) {
	d := build(t)
	_, err := compress.Compress(t.Context(), options(d, "gzip"))
	require.NoError(t, err)
	_, path := image(t, d, "qemu")
	require.NoError(t, os.Remove(path))
	changes, err := compress.Uncompress(t.Context(), options(d, ""))
	require.NoError(t, err)
	require.Len(t, changes, 1, "that of the other architecture")

	o := options(d, "")
	o.Artifacts = []string{"qemu", "metal"}
	_, err = compress.Uncompress(t.Context(), o)
	require.ErrorIs(t, err, os.ErrNotExist)
	o.Artifacts = []string{"metal"}
	changes, err = compress.Uncompress(t.Context(), o)
	require.NoError(t, err, "a kind that the build has not")
	require.Empty(t, changes)
	o.Artifacts = []string{"floppy"}
	_, err = compress.Uncompress(t.Context(), o)
	require.EqualError(t, err, `unknown artifact "floppy"`)
}

func TestTheConfigNamesTheCompressor(t *testing.T) {
	d := build(t)
	require.NoError(t, os.MkdirAll(d.Config(), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(d.Config(), "image.yaml"), []byte("compressor: zstd\n"), 0o644))
	_, err := compress.Compress(t.Context(), options(d, ""))
	require.NoError(t, err)
	_, path := image(t, d, "qemu")
	require.Equal(t, ".zst", filepath.Ext(path))

	_, err = compress.Compress(t.Context(), options(d, "lz4"))
	require.EqualError(t, err, `compressor "lz4" is not one of gzip, xz, zstd`)
}

func TestMetadataMustBeMerged(t *testing.T) {
	d := build(t)
	b, err := d.Latest()
	require.NoError(t, err)
	require.NoError(t, b.Update(func(m *workdir.Meta) error { m.DelayedMetaMerge = new(true); return nil }))
	m, err := b.Meta()
	require.NoError(t, err)
	m.SetImage("metal", m.Images["qemu"])
	require.NoError(t, b.Merge("metal", m))

	_, err = compress.Compress(t.Context(), options(d, "gzip"))
	require.ErrorContains(t, err, "run nosa meta --finalize first")

	_, _, err = b.Finalize(false)
	require.NoError(t, err)
	o := options(d, "gzip")
	o.Artifacts = []string{"qemu"}
	_, err = compress.Compress(t.Context(), o)
	require.NoError(t, err)
}

func TestAnImageInTheMakingIsLeftAlone(t *testing.T) {
	d := build(t)
	b, err := d.Latest()
	require.NoError(t, err)
	release, err := b.Claim("qemu")
	require.NoError(t, err)
	defer release()
	_, err = compress.Compress(t.Context(), options(d, "gzip"))
	require.ErrorContains(t, err, "another process is building it")
}

func TestCancelLeavesAllAsItWas(t *testing.T) {
	d := build(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := compress.Compress(ctx, options(d, "gzip"))
	require.ErrorIs(t, err, context.Canceled)
	_, path := image(t, d, "qemu")
	require.FileExists(t, path)
	require.Len(t, files(t, d), 4)
}
