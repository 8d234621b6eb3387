package machine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ignerrors "github.com/coreos/ignition/v2/config/shared/errors"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/testkit"
)

func TestCommandLines(t *testing.T) {
	base := layout{
		accel: Accel{Reason: "no"}, uuid: "00000000-0000-0000-0000-000000000001",
		primary: "/s/primary.qcow2", ignition: "/s/a,b/config.ign", qmpSocket: "/q/qmp",
	}
	uefi := firmwareFiles{code: "/fw/CODE.fd", vars: "/s/vars.fd"}
	for name, c := range map[string]struct {
		o Options
		l func(*layout)
	}{
		"bios":     {Options{Arch: arch.X86_64, Image: "i"}, func(*layout) {}},
		"uefi-kvm": {Options{Arch: arch.X86_64, Image: "i", Firmware: UEFI}, func(l *layout) { l.accel.KVM, l.firmware = true, uefi }},
		"secure":   {Options{Arch: arch.X86_64, Image: "i", Firmware: UEFISecure}, func(l *layout) { l.firmware = uefi }},
		"aarch64":  {Options{Arch: arch.AArch64, Image: "i"}, func(l *layout) { l.firmware = uefi }},
		"disks": {Options{Arch: arch.X86_64, Image: "i", JournalFile: "/o/journal", Offline: true, NICs: 2, MemoryMiB: 3000,
			Disks: []Disk{{GiB: 1}, {GiB: 2, NVMe: true, Serial: "fast"}, {GiB: 3, Multipath: true, Sector4K: true}}},
			func(l *layout) { l.disks = []string{"/s/disk1", "/s/disk2", "/s/disk3"} }},
		"binds": {Options{Arch: arch.X86_64, Image: "i", Binds: []Bind{{Dir: "/a", At: "/b"}}, TPM: NeedTPM, NoReboot: true},
			func(l *layout) { l.sockets, l.tpmSocket = []string{"/q/bind0"}, "/q/tpm" }},
		"iso": {Options{Arch: arch.X86_64, ISO: "i", Disks: []Disk{{GiB: 10}}, Ports: []Port{{Name: "a.b", File: "/o/a"}}},
			func(l *layout) { l.primary, l.iso, l.disks = "", "/s/iso.qcow2", []string{"/s/disk1"} }},
		"iso-as-disk": {Options{Arch: arch.X86_64, ISO: "i", ISOAsDisk: true}, func(l *layout) { l.primary, l.iso = "", "/s/iso.qcow2" }},
		"pxe": {Options{Arch: arch.X86_64, Netboot: &Netboot{Dir: "/t", File: "boot.ipxe"}, Bare: true},
			func(l *layout) { l.primary, l.ignition = "", "" }},
		"nbd":           {Options{Arch: arch.X86_64, Image: "i", Primary: Disk{NBD: true, DriveOptions: "aio=threads"}}, func(l *layout) { l.primary = "/q/nbd" }},
		"nbd-multipath": {Options{Arch: arch.X86_64, Image: "i", Primary: Disk{NBD: true, Multipath: true}}, func(l *layout) { l.primary = "/q/nbd" }},
		"multipath":     {Options{Arch: arch.X86_64, Image: "i", Primary: Disk{Multipath: true}}, func(*layout) {}},
		"kernel": {Options{Arch: arch.X86_64, Kernel: "/k", Initrd: "/i", Cmdline: "console=ttyS0", ExtraArgs: []string{"-s"}},
			func(l *layout) { l.primary = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.CPUs = 2
			o, err := c.o.complete()
			require.NoError(t, err)
			l := base
			l.Options = o
			c.l(&l)
			testkit.Golden(t, "args/"+name, []byte(strings.Join(l.args(), "\n")+"\n"))
		})
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"no image":          {Options{Arch: arch.X86_64}, "no disk image given"},
		"no architecture":   {Options{Image: "i"}, "no architecture given"},
		"firmware":          {Options{Arch: arch.X86_64, Image: "i", Firmware: "coreboot"}, `firmware "coreboot" is not possible on x86_64; possible: [bios uefi uefi-secure]`},
		"bios on aarch64":   {Options{Arch: arch.AArch64, Image: "i", Firmware: BIOS}, `firmware "bios" is not possible on aarch64; possible: [uefi]`},
		"too many cards":    {Options{Arch: arch.X86_64, Image: "i", NICs: 17}, "memory, CPUs and disk size must not be negative, and at most 16 additional network cards are possible"},
		"direct, no config": {Options{Arch: arch.X86_64, Image: "i", Direct: true}, "exactly one Ignition config can be passed untouched"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.o.complete()
			require.EqualError(t, err, c.want)
		})
	}
}

func TestParseDisk(t *testing.T) {
	for spec, want := range map[string]Disk{
		"5G":                           {GiB: 5},
		"1G:mpath":                     {GiB: 1, Multipath: true},
		"10G:4k,channel=nvme,serial=x": {GiB: 10, Sector4K: true, NVMe: true, Serial: "x"},
		"10G:channel=virtio":           {GiB: 10},
	} {
		got, err := ParseDisk(spec)
		require.NoError(t, err, spec)
		require.Equal(t, want, got, spec)
	}
	for spec, want := range map[string]string{
		"":                      `disk "": size must be in G, for example 5G`,
		"5":                     `disk "5": size must be in G, for example 5G`,
		"0G":                    `disk "0G": size must be in G, for example 5G`,
		"5G:fast":               `disk "5G:fast": unknown option "fast"; known are mpath, 4k, channel=nvme, serial=X`,
		"5G:serial=a b":         `disk "5G:serial=a b": unknown option "serial=a b"; known are mpath, 4k, channel=nvme, serial=X`,
		"5G:mpath,channel=nvme": `disk "5G:mpath,channel=nvme": mpath and channel=nvme exclude each other`,
	} {
		_, err := ParseDisk(spec)
		require.EqualError(t, err, want, spec)
	}
}

func TestInspect(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	qcow2 := "QFI\xfb" + strings.Repeat("\x00", 20) + "\x00\x00\x00\x02\x80\x00\x00\x00" + strings.Repeat("\x00", 100)

	format, size, err := inspect(write("a.qcow2", qcow2))
	require.NoError(t, err)
	require.Equal(t, "qcow2", format)
	require.EqualValues(t, 10<<30, size)

	format, size, err = inspect(write("a.raw", strings.Repeat("x", 512)))
	require.NoError(t, err)
	require.Equal(t, "raw", format)
	require.EqualValues(t, 512, size)

	path := write("a.qcow2.gz", "\x1f\x8b"+strings.Repeat("x", 100))
	_, _, err = inspect(path)
	require.EqualError(t, err, path+" is compressed with gzip; decompress it first")

	_, _, err = inspect(write("short", "x"))
	require.ErrorContains(t, err, "not a disk image: too short")
	_, _, err = inspect(dir)
	require.ErrorContains(t, err, "is not a file")
	_, _, err = inspect(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestFirmwareIsFoundInPairs(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "OVMF_CODE_4M.fd"), nil, 0o600)) // without its variables
	_, err := findFirmware(arch.X86_64, UEFI, []string{"/nowhere", dir})
	require.EqualError(t, err, "no uefi firmware for x86_64 found; on Debian and Ubuntu: apt-get install ovmf")

	for _, name := range []string{"OVMF_CODE.fd", "OVMF_VARS.fd"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	found, err := findFirmware(arch.X86_64, UEFI, []string{"/nowhere", dir})
	require.NoError(t, err)
	require.Equal(t, firmwareFiles{code: filepath.Join(dir, "OVMF_CODE.fd"), vars: filepath.Join(dir, "OVMF_VARS.fd")}, found)
}

func ignition(version, rest string) Config {
	return Config{Name: "user.ign", JSON: []byte(`{"ignition":{"version":"` + version + `"}` + rest + `}`)}
}

func TestMergeKeepsTheVersion(t *testing.T) {
	own, err := Options{}.fragment("ssh-ed25519 KEY").Config("own")
	require.NoError(t, err)
	for _, version := range []string{"3.0.0", "3.1.0", "3.2.0", "3.3.0", "3.4.0", "3.5.0"} {
		merged, _, err := Merge(own, ignition(version, ""))
		require.NoError(t, err)
		var got struct{ Ignition struct{ Version string } }
		require.NoError(t, json.Unmarshal(merged, &got))
		require.Equal(t, version, got.Ignition.Version)
		_, _, err = Merge(Config{Name: "again", JSON: merged})
		require.NoError(t, err, "the result is a valid config")
	}
}

func TestMergeGolden(t *testing.T) {
	own, err := Options{Autologin: true, Hostname: "nosa-devsh", JournalFile: "j"}.fragment("ssh-ed25519 OURS").Config("own")
	require.NoError(t, err)
	user := ignition("3.3.0", `,
		"passwd":{"users":[{"name":"nest","sshAuthorizedKeys":["ssh-ed25519 THEIRS"]},{"name":"tester","shell":"/bin/sh"}]},
		"storage":{"files":[{"path":"/etc/hostname","overwrite":true,"contents":{"source":"data:,theirs%0A"}}]},
		"kernelArguments":{"shouldExist":["quiet"]}`)
	merged, warnings, err := Merge(own, user)
	require.NoError(t, err)
	require.Empty(t, warnings)
	var pretty any
	require.NoError(t, json.Unmarshal(merged, &pretty))
	out, err := json.MarshalIndent(pretty, "", "  ")
	require.NoError(t, err)
	testkit.Golden(t, "merged.ign", append(out, '\n'))
}

func TestConfigsThatAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"not JSON":    {Config{Name: "a.ign", JSON: []byte("{")}, "a.ign: config is not valid"},
		"empty":       {Config{Name: "a.ign"}, "a.ign: not a config (empty)"},
		"version 2":   {ignition("2.3.0", ""), "user.ign: version 2.3.0: unsupported config version (known are Ignition 3.0.0 to 3.5.0)"},
		"future":      {ignition("3.9.0", ""), "user.ign: version 3.9.0: unsupported config version (known are Ignition 3.0.0 to 3.5.0)"},
		"no version":  {Config{Name: "a.ign", JSON: []byte("{}")}, "a.ign: invalid config version (couldn't parse)"},
		"bad content": {ignition("3.3.0", `,"storage":{"files":[{"path":"relative"}]}`), "user.ign: config is not valid: error at $.storage.files.0.path, line 1 col 61: path not absolute"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Merge(c.config)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, _, err := Merge(ignition("9.0.0", ""))
	require.ErrorIs(t, err, ignerrors.ErrUnknownVersion)
}

func TestFromButane(t *testing.T) {
	c, warnings, err := FromButane("a.bu", []byte("variant: fcos\nversion: 1.4.0\nstorage:\n  files:\n    - path: /etc/x\n      contents: {inline: hello}\n"), "")
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.JSONEq(t, `{"ignition":{"version":"3.3.0"},"storage":{"files":[{"path":"/etc/x","contents":{"compression":"","source":"data:,hello"}}]}}`, string(c.JSON))

	_, _, err = FromButane("a.bu", []byte("variant: fcos\nversion: 1.4.0\nstorage: {files: [{path: x}]}\n"), "")
	require.ErrorContains(t, err, "a.bu: ")
	require.ErrorContains(t, err, "path not absolute")
}

func TestDataURLHoldsAnything(t *testing.T) {
	require.Equal(t, "data:,a%20b%0A%25", dataURL([]byte("a b\n%")))
	require.Equal(t, "data:;base64,/wA=", dataURL([]byte{0xff, 0}))
}
