package workdir

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/testkit"
)

// full has most keys that a build writes.
func full() *Meta {
	m := sample("24.03-LTS.20250114.0")
	m.Summary = "NestOS <stable> & more"
	m.Ref = "openEuler/x86_64/nestos/stable"
	m.MetadataTotal, m.MetadataWritten = new(int64(1200)), new(int64(0))
	m.PkgDiff = []json.RawMessage{json.RawMessage(`["bash", 0, {"NewPackage": ["bash", "5.2-1", "x86_64"]}]`)}
	m.AdvisoriesDiff = []json.RawMessage{}
	m.Images = map[string]Image{
		"ostree": {Path: "nestos-24.03-LTS.20250114.0-ostree.x86_64.ociarchive", SHA256: strings.Repeat("9b2e", 16), Size: 812345344, SkipCompression: true},
		"metal": {Path: "nestos-24.03-LTS.20250114.0-metal.x86_64.raw.gz", SHA256: strings.Repeat("11aa", 16), Size: 730112233,
			UncompressedSHA256: strings.Repeat("22bb", 16), UncompressedSize: 2600468480},
		"live-iso": {Path: "nestos-24.03-LTS.20250114.0-live.x86_64.iso", SHA256: strings.Repeat("33cc", 16), SkipCompression: true},
	}
	m.CodeSource, m.ConfigDirty, m.ConfigVariant = "container", "false", "edge"
	m.ConfigGitrev = "0123456789abcdef0123456789abcdef01234567"
	m.ConfigGit = &Git{Commit: m.ConfigGitrev, Origin: "https://example.org/c.git", Branch: "HEAD", Dirty: "false"}
	m.ImageConfigChecksum = strings.Repeat("c0ff", 16)
	m.ImageInputChecksum = ImageInputChecksum(m.OSTreeCommit, m.ImageConfigChecksum)
	m.Stamp = 1736841790123456789
	m.Extra = map[string]json.RawMessage{"amis": json.RawMessage(`[{"hvm": "ami-1", "name": "eu", "snapshot": "snap-1"}]`)}
	return m
}

func TestMetaFile(t *testing.T) {
	data, err := full().JSON()
	require.NoError(t, err)
	testkit.Golden(t, "meta.json", data)

	again, err := parseMeta(data, "meta.json")
	require.NoError(t, err)
	back, err := again.JSON()
	require.NoError(t, err)
	require.Equal(t, string(data), string(back))
	require.Equal(t, full().Images, again.Images)
	require.Equal(t, full().Stamp, again.Stamp)
}

func TestEveryFieldOfMetaIsInTheSchema(t *testing.T) {
	for key := range typedKeys {
		require.Contains(t, metaShape.fields, key)
	}
	for _, key := range metaShape.required {
		require.Contains(t, metaShape.fields, key)
	}
	data, err := json.Marshal(full().Images["metal"])
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(data, &fields))
	fields["skip-compression"] = true
	require.ElementsMatch(t, slices.Collect(maps.Keys(imageShape.fields)), slices.Collect(maps.Keys(fields)))
}

func TestMetaReadsWholeNumbersWrittenAsFloats(t *testing.T) {
	data, err := full().JSON()
	require.NoError(t, err)
	text := strings.Replace(string(data), `"size": 812345344`, `"size": 8.12345344e+08`, 1)
	text = strings.Replace(text, `image-genver": 0`, `image-genver": 2.0`, 1)

	m, err := parseMeta([]byte(text), "meta.json")

	require.NoError(t, err)
	require.Equal(t, int64(812345344), m.Images["ostree"].Size)
	require.Equal(t, 2, *m.ImageGenver)
}

func TestMetaFindsAllFaultsAtOnce(t *testing.T) {
	cases := map[string]struct {
		change func(map[string]any)
		want   []string
	}{
		"unknown and missing keys": {
			func(o map[string]any) { o["nestos.stream"] = "x"; delete(o, "name"); delete(o, "ostree-commit") },
			[]string{`key "name" is missing`, `key "ostree-commit" is missing`, `unknown key "nestos.stream"`},
		},
		"short hashes": {
			func(o map[string]any) { o["ostree-commit"] = "abc"; o["buildid"] = "" },
			[]string{`buildid: "" is too short, it needs 1 characters`, `ostree-commit: "abc" is too short, it needs 64 characters`},
		},
		"times": {
			func(o map[string]any) { o["ostree-timestamp"] = "yesterday" },
			[]string{`ostree-timestamp: "yesterday" does not match`},
		},
		"types": {
			func(o map[string]any) {
				o["pkgdiff"] = "x"
				o["coreos-assembler.image-genver"] = json.Number("1.5")
				o["coreos-assembler.config-dirty"] = false
				o["ref"] = nil
			},
			[]string{"config-dirty: must be a string", "image-genver: must be a whole number", "pkgdiff: must be a list", "ref: must be a string"},
		},
		"words": {
			func(o map[string]any) { o["coreos-assembler.config-dirty"] = "no" },
			[]string{`"no" must be one of true, false`},
		},
		"images": {
			func(o map[string]any) {
				o["images"] = map[string]any{
					"floppy": map[string]any{}, "qemu": map[string]any{"path": "a/b", "sha256": strings.Repeat("0", 64), "colour": "red"},
				}
			},
			[]string{`images: unknown key "floppy"`, `images.qemu: unknown key "colour"`, `images.qemu.path: "a/b" does not match`},
		},
		"a short branch": {
			func(o map[string]any) {
				o["coreos-assembler.container-config-git"] = map[string]any{"commit": "01234", "branch": "el"}
			},
			[]string{`container-config-git: key "origin" is missing`, `branch: "el" is too short`},
		},
		"an id that leaves its directory": {
			func(o map[string]any) { o["buildid"] = "../x" }, []string{`buildid: "../x" does not match`},
		},
		"cloud lists": {
			func(o map[string]any) { o["aliyun"] = []any{map[string]any{"name": "x"}} },
			[]string{`aliyun[0]: key "id" is missing`},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			object, err := full().Object()
			require.NoError(t, err)
			c.change(object)
			data, err := encode(object)
			require.NoError(t, err)

			_, err = parseMeta(data, "builds/1/x86_64/meta.json")

			require.Len(t, diag.Findings(err), len(c.want), "%v", err)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			require.ErrorContains(t, err, "builds/1/x86_64/meta.json: ")
		})
	}
}

func TestSkipValidation(t *testing.T) {
	d := newDir(t)
	b := published(t, d, "1")
	m, err := b.Meta()
	require.NoError(t, err)
	m.Extra = map[string]json.RawMessage{"strange": json.RawMessage(`1`)}
	require.ErrorContains(t, b.Merge("", m), `unknown key "strange"`)

	d.SkipValidation = true
	b, err = d.Build("1")
	require.NoError(t, err)
	require.NoError(t, b.Merge("", m))
	_, err = b.Meta()
	require.NoError(t, err)
	_, err = ReadMeta(b.Dir)
	require.ErrorContains(t, err, `unknown key "strange"`)
}

func TestAMissingStampIsTheTimeOfTheFileInSeconds(t *testing.T) {
	dir := t.TempDir()
	data, err := sample("1").JSON()
	require.NoError(t, err)
	path := filepath.Join(dir, "meta.json")
	require.NoError(t, os.WriteFile(path, data, 0o644))
	require.NoError(t, os.Chtimes(path, noon, noon))

	m, err := ReadMeta(dir)

	require.NoError(t, err)
	require.Equal(t, noon.Unix(), m.Stamp)
}

func TestMetaFilePermissionsAndStamp(t *testing.T) {
	d := newDir(t)
	b := published(t, d, "1")
	m, err := b.Meta()
	require.NoError(t, err)
	before := time.Now().UnixNano()

	require.NoError(t, b.Merge("", m))

	require.GreaterOrEqual(t, m.Stamp, before)
	info, err := os.Stat(b.Path("meta.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode())
	require.FileExists(t, b.Path(".meta.json.lock"))
}

func TestBuildID(t *testing.T) {
	cases := map[string]struct {
		previous *Meta
		id       string
		genver   int
	}{
		"no previous build": {nil, "24.0", 0},
		"another commit":    {&Meta{OSTreeCommit: "other", ImageGenver: new(3)}, "24.0", 0},
		"the same commit":   {&Meta{OSTreeCommit: "c", ImageGenver: new(0)}, "24.0-1", 1},
		"and once more":     {&Meta{OSTreeCommit: "c", ImageGenver: new(1)}, "24.0-2", 2},
		"one of old":        {&Meta{OSTreeCommit: "c"}, "24.0-1", 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			id, genver := BuildID("24.0", "c", c.previous)
			require.Equal(t, c.id, id)
			require.Equal(t, c.genver, genver)
		})
	}
}

func TestReference(t *testing.T) {
	d := newDir(t)
	m, err := d.Reference("")
	require.NoError(t, err)
	require.Nil(t, m)

	published(t, d, "1")
	published(t, d, "2")
	m, err = d.Reference("")
	require.NoError(t, err)
	require.Equal(t, "2", m.BuildID)
	m, err = d.Reference("1")
	require.NoError(t, err)
	require.Equal(t, "1", m.BuildID)
	_, err = d.Reference("9")
	require.ErrorIs(t, err, ErrNoBuild)
}

// The sum was made with: printf '%s\n%s\n' COMMIT CONFIG | sha256sum
func TestImageInputChecksum(t *testing.T) {
	got := ImageInputChecksum(strings.Repeat("a", 64), strings.Repeat("b", 64))
	require.Equal(t, "913f9338fb6c17253f3a14816fc08d52522454bfc19a8c99538a197cfb23fb41", got)
}

func TestImageFileNames(t *testing.T) {
	want := map[string]string{
		"ostree":       "nestos-24.0-ostree.x86_64.ociarchive",
		"oci-manifest": "nestos-24.0-ostree.x86_64-manifest.json",
		"qemu":         "nestos-24.0-qemu.x86_64.qcow2",
		"metal4k":      "nestos-24.0-metal4k.x86_64.raw",
		"live-iso":     "nestos-24.0-live.x86_64.iso",
		"live-kernel":  "nestos-24.0-live-kernel-x86_64",
		"live-rootfs":  "nestos-24.0-live-rootfs.x86_64.img",
		"gcp":          "nestos-24.0-gcp.x86_64.tar.gz",
	}
	for name, file := range want {
		kind, err := FindImageKind(name)
		require.NoError(t, err)
		require.Equal(t, file, kind.FileName("nestos", "24.0", "x86_64"))
	}
	_, err := FindImageKind("floppy")
	require.EqualError(t, err, `unknown artifact "floppy"`)
	seen := map[string]string{}
	for _, kind := range imageKinds {
		file := kind.FileName("n", "b", "a")
		require.Empty(t, seen[file], "%s and %s have one file name", kind.Name, seen[file])
		seen[file] = kind.Name
	}
}

func TestWriteCommitMeta(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, WriteCommitMeta(dir, map[string]any{
		"version": "24.0", "ostree.bootable": true,
		"rpmostree.rpmdb.pkglist": [][]string{{"bash", "0", "5.2", "1", "x86_64"}},
	}))
	data, err := os.ReadFile(filepath.Join(dir, "commitmeta.json"))
	require.NoError(t, err)
	testkit.Golden(t, "commitmeta.json", data)
}

func FuzzParseMeta(f *testing.F) {
	data, err := full().JSON()
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte(`{"buildid": 1e400, "images": {"qemu": null}}`))
	f.Add([]byte(`{"coreos-assembler.meta-stamp": 1.7e18}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseMeta(data, "meta.json")
		if err != nil {
			return
		}
		out, err := m.JSON()
		require.NoError(t, err)
		again, err := parseMeta(out, "meta.json")
		require.NoError(t, err, "what we write we read")
		back, err := again.JSON()
		require.NoError(t, err)
		require.Equal(t, string(out), string(back))
		for _, image := range m.Images {
			require.NotContains(t, image.Path, "/")
		}
	})
}
