package imageconf_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/imageconf"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

func write(t testing.TB, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, content := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
	}
}

func TestTheIncludingFileWinsAndKernelArgumentsJoin(t *testing.T) {
	write(t, map[string]string{
		"image.yaml":     "include: sub/base.yaml\nextra-kargs: [a=1, b=2, a=1]\ncompressor: xz\nx-map: {a: {k: outer}}\nx-list: [1]\n",
		"sub/base.yaml":  "include: base2.yaml\nsize: 10\nextra-kargs: [b=2, c=3]\ncompressor: gzip\nx-map: {a: {k: inner, l: inner}, b: 1}\nx-list: [1, 2]\n",
		"sub/base2.yaml": "extra-kargs: [d, a=1]\nsize: 99\nostree-remote: os\n",
	})
	c, err := imageconf.Load("image.yaml")
	require.NoError(t, err)
	require.Equal(t, []string{"a=1", "b=2", "c=3", "d"}, c.ExtraKargs)
	require.Equal(t, "xz", c.Compressor)
	require.Equal(t, 10, c.Size)
	require.Equal(t, "os", c.OSTreeRemote)
	require.Equal(t, map[string]any{"a": map[string]any{"k": "outer", "l": "inner"}, "b": int64(1)}, c.Values()["x-map"])
	require.Equal(t, []any{int64(1), int64(2)}, c.Values()["x-list"])
	require.NotContains(t, c.Values(), "include")
	require.Len(t, c.Warnings, 2, "of the keys that mean nothing")
}

func TestDefaultsFillTheJSON(t *testing.T) {
	write(t, map[string]string{"image.yaml": "size: 10\nostree-remote: openEuler\nignition-network-kcmdline: []\nbootfs_metadata_csum_seed: \"true\"\ngrub-script: mine\nrootfs: null\n"})
	c, err := imageconf.Load("image.yaml")
	require.NoError(t, err)
	require.True(t, c.BootFSMetadataCsumSeed, "a string is as good as a boolean")
	require.Equal(t, imageconf.GrubScript, c.GrubScript, "the built-in one always")
	require.Equal(t, "xfs", c.RootFS)
	require.Equal(t, "gzip", c.Compressor)
	require.Empty(t, c.Warnings)

	data, err := c.JSON()
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(data), "\n"), "one line")
	script, err := json.Marshal(imageconf.GrubScript)
	require.NoError(t, err)
	require.JSONEq(t, `{
		"aws-imdsv2-only": true, "aws-volume-type": "gp3", "aws-x86-boot-mode": "uefi-preferred",
		"bootfs": "ext4", "bootfs_metadata_csum_seed": "true", "composefs": false, "deploy-via-container": false,
		"extra-kargs": [], "grub-script": `+string(script)+`, "ignition-network-kcmdline": [],
		"ostree-container-inject-openshift-cvo-labels": false,
		"ostree-format": "oci-chunked-v1", "ostree-remote": "openEuler",
		"rootfs": "xfs", "rootfs-args": "", "size": 10, "squashfs-compression": "zstd",
		"vmware-hw-version": 13, "vmware-os-type": "rhel7_64Guest", "vmware-secure-boot": true}`, string(data))

	back, err := imageconf.Parse(data)
	require.NoError(t, err)
	require.Equal(t, c, withoutWarnings(back))
	again, err := back.JSON()
	require.NoError(t, err)
	require.Equal(t, string(data), string(again))
}

func withoutWarnings(c *imageconf.Config) *imageconf.Config {
	c.Warnings = nil
	return c
}

func TestLoadSaysWhereAndWhatIsWrong(t *testing.T) {
	cases := map[string]struct{ yaml, want string }{
		"size with a unit":  {"size: 10G", `image.yaml:1:7: size: must be a whole number of GiB without a unit, not the string "10G"; write for example 10`},
		"size a fraction":   {"size: 1.5", `image.yaml:1:7: size: must be a whole number of GiB without a unit, not the number 1.5; write for example 10`},
		"size of nothing":   {"size: 0", `image.yaml:1:7: size: must be from 1 to 65536 GiB, not 0`},
		"rootfs":            {"rootfs: ntfs", `image.yaml:1:9: rootfs: "ntfs" is not supported; use xfs, ext4, ext4verity or btrfs`},
		"bootfs":            {"bootfs: xfs", `image.yaml:1:9: bootfs: "xfs" is not supported; use ext4 or ext4verity`},
		"ostree-format":     {"ostree-format: oci", `image.yaml:1:16: ostree-format: "oci" is not supported; use oci-chunked-v1`},
		"compressor":        {"compressor: bzip2", `image.yaml:1:13: compressor: "bzip2" is not supported; use gzip, xz or zstd`},
		"composefs":         {"composefs: maybe", `image.yaml:1:12: composefs: must be true or false, not the string "maybe"`},
		"kargs no list":     {"extra-kargs: a", `image.yaml:1:14: extra-kargs: must be a list, not the string "a"`},
		"karg no string":    {"extra-kargs: [1]", `image.yaml:1:15: extra-kargs[0]: must be a string, not the number 1; put it in quotes`},
		"karg of two lines": {`extra-kargs: [a, "b\nc"]`, `image.yaml:1:18: extra-kargs[1]: "b\nc" must be one line`},
		"include a list":    {"include: [a]", `image.yaml:1:10: include: must be a string, not a list`},
		"include missing":   {"include: gone.yaml", `image.yaml:1:10: include gone.yaml: no such file or directory`},
		"include itself":    {"include: ./image.yaml", `image.yaml:1:10: include: image.yaml is included again, or too deep`},
		"empty":             {"", `image.yaml: the file is empty; it must be a mapping`},
		"no mapping":        {"[a]", `image.yaml:1:1: must be a mapping, not a list`},
		"merge key":         {"a: &a {b: 1}\nc: {<<: *a}", `image.yaml:2:5: merge keys (<<) are not supported; write the keys out`},
		"several at once": {"size: x\nrootfs: y", `image.yaml:1:7: size: must be a whole number of GiB without a unit, not the string "x"; write for example 10
image.yaml:2:9: rootfs: "y" is not supported; use xfs, ext4, ext4verity or btrfs`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			write(t, map[string]string{"image.yaml": c.yaml})
			_, err := imageconf.Load("image.yaml")
			require.EqualError(t, err, c.want)
		})
	}
}

func TestAnOverriddenKernelArgumentListIsCheckedToo(t *testing.T) {
	write(t, map[string]string{"image.yaml": "include: base.yaml\nextra-kargs: [a]", "base.yaml": "extra-kargs: b"})
	_, err := imageconf.Load("image.yaml")
	require.EqualError(t, err, `base.yaml:1:14: extra-kargs: must be a list, not the string "b"`)
}

func TestUnknownKeysAreCarriedAlongWithAWarning(t *testing.T) {
	write(t, map[string]string{"image.yaml": "compresor: xz\nmine: {a: 1}\n"})
	c, err := imageconf.Load("image.yaml")
	require.NoError(t, err)
	require.Equal(t, `image.yaml:1:1: warning: unknown key "compresor"; did you mean "compressor"?`, c.Warnings[0].String())
	require.Equal(t, "xz", c.Values()["compresor"])
	require.Equal(t, map[string]any{"a": int64(1)}, c.Values()["mine"])
}

func TestARemoteNeedsARef(t *testing.T) {
	write(t, map[string]string{"image.yaml": "ostree-remote: os"})
	c, err := imageconf.Load("image.yaml")
	require.NoError(t, err)
	require.NoError(t, c.CheckRemote("a/b"))
	require.EqualError(t, c.CheckRemote(""), `ostree-remote is "os", but the treefile sets no ref`)
}

func TestParseOfAnOlderFileFillsInWhatItLacks(t *testing.T) {
	c, err := imageconf.Parse([]byte(`{"size": 12, "later": [1]}`))
	require.NoError(t, err)
	require.Equal(t, 12, c.Size)
	require.Equal(t, "ext4", c.BootFS)
	require.Equal(t, imageconf.GrubScript, c.GrubScript)
	require.Equal(t, []any{int64(1)}, c.Values()["later"])
	require.Equal(t, "gp3", c.Values()["aws-volume-type"])

	_, err = imageconf.Parse([]byte(`{"size": "12"}`))
	require.EqualError(t, err, `image.json:1:10: size: must be a whole number of GiB without a unit, not the string "12"; write for example 10`)
}

func TestCompressorExt(t *testing.T) {
	for name, want := range map[string]string{"gzip": ".gz", "xz": ".xz", "zstd": ".zst"} {
		got, err := imageconf.CompressorExt(name)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := imageconf.CompressorExt("lz4")
	require.EqualError(t, err, `compressor "lz4" is not one of gzip, xz, zstd`)
}

func TestPlatforms(t *testing.T) {
	write(t, map[string]string{
		"platforms.yaml": "x86_64:\n  qemu:\n    grub_commands: [serial --speed=115200]\n    kernel_arguments: [console=tty0, \"console=ttyS0,115200n8\"]\n  metal:\naarch64:\n",
		"empty.yaml":     "# nothing\n",
		"bad.yaml":       "x86_64:\n  qemu:\n    grub_command: []\n    kernel_arguments: console=tty0\n  metal: []\n",
	})
	p, err := imageconf.LoadPlatforms("platforms.yaml")
	require.NoError(t, err)
	require.Equal(t, []string{"console=tty0", "console=ttyS0,115200n8"}, p.Console("x86_64", "qemu").KernelArguments)
	require.Equal(t, []string{"serial --speed=115200"}, p.Console("x86_64", "qemu").GrubCommands)
	require.Equal(t, imageconf.Console{}, p.Console("x86_64", "metal"))
	require.Equal(t, imageconf.Console{}, p.Console("s390x", "qemu"))
	require.Contains(t, p, "aarch64")

	p, err = imageconf.LoadPlatforms("empty.yaml")
	require.NoError(t, err)
	require.Empty(t, p)

	_, err = imageconf.LoadPlatforms("bad.yaml")
	require.EqualError(t, err, `bad.yaml:3:5: unknown key "x86_64.qemu.grub_command"; did you mean "grub_commands"?
bad.yaml:4:23: x86_64.qemu.kernel_arguments: must be a list, not the string "console=tty0"
bad.yaml:5:10: x86_64.metal: must be a mapping, not a list`)

	_, err = imageconf.LoadPlatforms("gone.yaml")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestGrubScriptIsOneThatGRUBReads(t *testing.T) {
	testkit.NeedTool(t, "grub-script-check")
	_, err := tool.Host{}.Run(t.Context(), tool.Cmd{Name: "grub-script-check", Args: []string{"grub.cfg"}})
	require.NoError(t, err)
}

func TestGrubScriptKeepsItsContract(t *testing.T) {
	// What the installer and the derivation of images look for, in its order.
	lines := strings.Split(imageconf.GrubScript, "\n")
	at := -1
	for _, line := range []string{
		"    search --no-floppy --set=boot --label boot",
		imageconf.ConsoleStart,
		imageconf.ConsoleEnd,
		"set timeout=1",
		`if [ -f "(${boot})/ignition.firstboot" ]; then`,
		`  set ignition_firstboot="ignition.firstboot ${ignition_network_kcmdline}"`,
		`if [ -f "${prefix}/user.cfg" ]; then`,
		"blscfg",
	} {
		i := slices.Index(lines, line)
		if line == "blscfg" {
			i = len(lines) - 2 // last, after the function of that name
			require.Equal(t, line, lines[i])
		}
		require.Greater(t, i, at, "%q is missing or out of order", line)
		at = i
	}
}

func TestAKernelArgumentForGRUBIsWarnedOf(t *testing.T) {
	write(t, map[string]string{"image.yaml": "extra-kargs: [a, b;c]"})
	c, err := imageconf.Load("image.yaml")
	require.NoError(t, err)
	require.Equal(t, `image.yaml:1:18: warning: extra-kargs[1]: "b;c" contains a character that GRUB's script language takes for itself`, c.Warnings[0].String())
}

func TestPublishedConfigsLoad(t *testing.T) {
	for name, compressor := range map[string]string{"nestos-config": "gzip", "fedora-coreos-config": "xz"} {
		dir := filepath.Join("..", "..", "..", "shared", "data", name)
		if _, err := os.Stat(dir); err != nil {
			t.Skipf("the published config repository is not here: %v", err)
		}
		c, err := imageconf.Load(filepath.Join(dir, "image.yaml"))
		require.NoError(t, err)
		require.Empty(t, c.Warnings)
		require.Equal(t, 10, c.Size)
		require.Equal(t, compressor, c.Compressor)
		require.Equal(t, []string{"mitigations=auto,nosmt"}, c.ExtraKargs)
		p, err := imageconf.LoadPlatforms(filepath.Join(dir, "platforms.yaml"))
		require.NoError(t, err)
		require.Equal(t, []string{"console=tty0", "console=ttyS0,115200n8"}, p.Console("x86_64", "qemu").KernelArguments)
		require.Equal(t, []string{"console=ttyAMA0,115200n8", "console=tty0"}, p.Console("aarch64", "openstack").KernelArguments)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("size: 10\nextra-kargs: [a, b]\ncomposefs: true\n"))
	f.Add([]byte("include: x\na: {b: [1, {c: 2}]}\nsize: 0x10"))
	path := filepath.Join(f.TempDir(), "image.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		require.NoError(t, os.WriteFile(path, data, 0o644))
		c, err := imageconf.Load(path)
		if err != nil {
			require.NotEmpty(t, diag.Findings(err))
			return
		}
		out, err := c.JSON()
		require.NoError(t, err)
		_, err = imageconf.Parse(out)
		require.NoError(t, err)
	})
}
