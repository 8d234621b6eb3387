package streammeta_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/format/streammeta"
	"github.com/nestos/nosa-actions/internal/testkit"
)

func sum(c string) string { return strings.Repeat(c, 64) }

// build has every kind of image.
func build(arch string) streammeta.Build {
	b := streammeta.Build{ID: "1.0", Stream: "stable", Arch: arch, Commit: sum("c"), Clouds: map[string]json.RawMessage{
		"amis":     json.RawMessage(`[{"name": "us-east-1", "hvm": "ami-1", "snapshot": "snap-1"}]`),
		"aliyun":   json.RawMessage(`[{"name": "cn-hangzhou", "id": "m-1"}]`),
		"gcp":      json.RawMessage(`{"image": "os-1-0", "project": "p", "family": "os-stable", "url": "https://example.org"}`),
		"koji":     json.RawMessage(`{"anything": 1}`),
		"nonsense": json.RawMessage(`7`),
	}}
	for name, path := range map[string]string{
		"ostree": "os-1.0-ostree." + arch + ".ociarchive", "oci-manifest": "os-1.0-ostree." + arch + "-manifest.json",
		"qemu": "os-1.0-qemu." + arch + ".qcow2.gz", "metal": "os-1.0-metal." + arch + ".raw.xz", "metal4k": "os-1.0-metal4k." + arch + ".raw.xz",
		"live-iso": "os-1.0-live." + arch + ".iso", "live-kernel": "os-1.0-live-kernel-" + arch, "live-initramfs": "os-1.0-live-initramfs." + arch + ".img",
		"live-rootfs": "os-1.0-live-rootfs." + arch + ".img", "openstack": "strange.qcow2",
	} {
		image := streammeta.Image{Name: name, Path: path, Artifact: streammeta.Artifact{
			Location: "https://example.org/" + path, Signature: "https://example.org/" + path + ".sig", SHA256: sum("a"),
		}}
		if strings.HasSuffix(path, "z") {
			image.UncompressedSHA256 = new(sum("b"))
		}
		b.Images = append(b.Images, image)
	}
	return b
}

func release(t *testing.T, arch string) *streammeta.Release {
	t.Helper()
	r, err := build(arch).Release()
	require.NoError(t, err)
	return r
}

func TestReleaseAndStream(t *testing.T) {
	r := release(t, "x86_64")
	require.NoError(t, r.Merge(release(t, "aarch64")))
	data, err := r.JSON()
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(data), "\n"), "on one line")
	testkit.Golden(t, "release.json", data)
	testkit.FitsSchema(t, "testdata/release.schema.json", data)
	testkit.RefusedBySchema(t, "testdata/release.schema.json", []byte(strings.ReplaceAll(string(data), `"disk"`, `"disc"`)))

	again, err := streammeta.ParseRelease(data)
	require.NoError(t, err)
	require.Equal(t, r, again)
	stream := again.StreamMetadata(streammeta.Metadata{LastModified: "2025-01-14T08:00:00Z", Generator: "test"})
	data, err = stream.JSON()
	require.NoError(t, err)
	testkit.Golden(t, "stream.json", data)
	testkit.FitsSchema(t, "testdata/stream.schema.json", data)
	testkit.RefusedBySchema(t, "testdata/stream.schema.json", []byte(strings.ReplaceAll(string(data), `"sha256": "`, `"sha256": "x`)))

	data, err = stream.Override([]byte(`{"stream": "testing", "metadata": null, "architectures": {"x86_64": {"images": {"aws": {"regions": {"us-east-1": {"image": "ami-2"}}}}}}}`))
	require.NoError(t, err)
	require.Contains(t, string(data), `"stream": "testing"`)
	require.Contains(t, string(data), `"image": "ami-2"`)
	require.Contains(t, string(data), `"cn-hangzhou"`)
	require.Contains(t, string(data), `"generator": "test"`)
	_, err = stream.Override([]byte(`null`))
	require.Error(t, err)
}

func TestExtendingARelease(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*streammeta.Build)
		want   string
	}{
		"the same":       {func(*streammeta.Build) {}, ""},
		"fewer images":   {func(b *streammeta.Build) { b.Images = nil }, ""},
		"another build":  {func(b *streammeta.Build) { b.ID = "1.1" }, "release 1.1 is not release 1.0"},
		"another stream": {func(b *streammeta.Build) { b.Stream = "next" }, `stream "next" is not stream "stable"`},
		"another commit": {func(b *streammeta.Build) { b.Commit = sum("d") }, "is not commit"},
		"another image": {func(b *streammeta.Build) {
			b.Images[0].SHA256 = sum("e")
			b.Images = b.Images[:1]
			b.Images[0].Name = "qemu"
		}, "two different sets of images for qemu"},
	} {
		t.Run(name, func(t *testing.T) {
			r, b := release(t, "x86_64"), build("x86_64")
			before, err := r.JSON()
			require.NoError(t, err)
			b.Clouds = nil
			if name == "the same" {
				b = build("x86_64")
			}
			c.change(&b)
			other, err := b.Release()
			require.NoError(t, err)

			err = r.Merge(other)

			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				return
			}
			require.NoError(t, err)
			after, err := r.JSON()
			require.NoError(t, err)
			require.Equal(t, string(before), string(after))
		})
	}
}

func FuzzParseAssets(f *testing.F) {
	f.Add([]byte(`{"schema-version": "1.0.0", "release": "1", "assets": [{"name": "a", "size": 3, "sha256": "` + sum("a") + `",
		"parts": [{"name": "a.part001", "size": 2, "sha256": "` + sum("b") + `"}, {"name": "a.part002", "size": 1, "sha256": "` + sum("c") + `"}]}]}`))
	f.Add([]byte(`{"schema-version": "1.0.0", "assets": [{"name": "../etc/passwd"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := streammeta.ParseAssets(data)
		if err != nil {
			return
		}
		for _, asset := range a.Assets {
			for _, p := range append(asset.Parts, streammeta.Part{Name: asset.Name}) {
				require.False(t, strings.ContainsAny(p.Name, "/\x00\n") || strings.HasPrefix(p.Name, "."), p.Name)
			}
		}
	})
}
