package imageconf_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

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

func TestJSONIsOneLineThatParseReadsBack(t *testing.T) {
	write(t, map[string]string{"image.yaml": "size: 10\nmine: <&>\ncompressor: xz\n"})
	c, err := imageconf.Load("image.yaml")
	require.NoError(t, err)
	data, err := c.JSON()
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(data), "\n"), "one line")
	require.Contains(t, string(data), `"mine":"<&>"`)

	back, err := imageconf.Parse(data)
	require.NoError(t, err)
	require.Equal(t, withoutWarnings(c), withoutWarnings(back))
	again, err := back.JSON()
	require.NoError(t, err)
	require.Equal(t, string(data), string(again))
}

func TestFields(t *testing.T) {
	write(t, map[string]string{"image.yaml": `
size: 16
rootfs: btrfs
rootfs-args: -m dup
bootfs: ext4verity
bootfs_metadata_csum_seed: "true"
composefs: true
extra-kargs: [quiet]
ostree-remote: os
deploy-via-container: true
container-imgref: registry:example.org/os
ostree-container-inject-openshift-cvo-labels: true
compressor: zstd
squashfs-compression: gzip
squashfs-compression-level: 3
vmware-hw-version: 17
vmware-os-type: fedora64Guest
vmware-secure-boot: false
`})
	c, err := imageconf.Load("image.yaml")
	require.NoError(t, err)
	want := *c // for what has no field
	want.Size, want.RootFS, want.RootFSArgs, want.BootFS = 16, "btrfs", "-m dup", "ext4verity"
	want.BootFSMetadataCsumSeed, want.Composefs, want.ExtraKargs = true, true, []string{"quiet"}
	want.OSTreeRemote, want.OSTreeFormat = "os", "oci-chunked-v1"
	want.DeployViaContainer, want.ContainerImgref, want.InjectCVOLabels = true, "registry:example.org/os", true
	want.Compressor, want.GrubScript = "zstd", imageconf.GrubScript
	want.SquashfsCompression, want.SquashfsLevel = "gzip", 3
	want.VMwareHWVersion, want.VMwareOSType, want.VMwareSecureBoot = 17, "fedora64Guest", false
	require.Equal(t, want, *c)
}

func TestFieldsHaveTheDefaultsOfTheirKeys(t *testing.T) {
	write(t, map[string]string{"image.yaml": "size: 10\n"})
	c, err := imageconf.Load("image.yaml")
	require.NoError(t, err)
	data, err := c.JSON()
	require.NoError(t, err)
	spelled, err := imageconf.Parse(data)
	require.NoError(t, err)
	require.Equal(t, spelled, c, "what the defaults say as keys is what they are as fields")
	require.Equal(t, imageconf.CompressorGzip, c.Compressor)
}

func withoutWarnings(c *imageconf.Config) *imageconf.Config {
	c.Warnings = nil
	return c
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
	require.Equal(t, []any{json.Number("1")}, values(t, c)["later"])
	require.Equal(t, "gp3", values(t, c)["aws-volume-type"])

	_, err = imageconf.Parse([]byte(`{"size": "12"}`))
	require.EqualError(t, err, `image.json:1:10: size: must be a whole number of GiB without a unit, not the string "12"; write for example 10`)
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
