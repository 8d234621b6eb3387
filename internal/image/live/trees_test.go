package live_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/image/imagetest"
	"github.com/nestos/nosa-actions/internal/image/live"
)

// withPayload gives the tree bootupd's payload with files for an architecture of
// UEFI.
func withPayload(t *testing.T, suffix string) string {
	t.Helper()
	tree := imagetest.SmallTree(t)
	for _, name := range []string{
		"BOOT/BOOT" + strings.ToUpper(suffix) + ".EFI", "BOOT/fb" + suffix + ".efi", "BOOT/mm" + suffix + ".efi",
		"openEuler/shim" + suffix + ".efi", "openEuler/shim" + suffix + "-openeuler.efi", "openEuler/mm" + suffix + ".efi",
		"openEuler/fb" + suffix + ".efi", "openEuler/grub" + suffix + ".efi", "openEuler/BOOT" + strings.ToUpper(suffix) + ".CSV",
	} {
		path := filepath.Join(tree, "usr/lib/bootupd/updates/EFI", name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte("payload "+name), 0o644))
	}
	require.NoError(t, os.WriteFile(filepath.Join(tree, "usr/lib/bootupd/updates/EFI.json"), []byte(`{"version":"1"}`), 0o644))
	return tree
}

// files of efiboot.img.
func efiFiles(t *testing.T, image string) []string {
	t.Helper()
	return strings.Fields(host(t, "mdir", "-b", "-/", "-i", image, "::/"))
}

func TestLoadersComeFromBootupdsPayload(t *testing.T) {
	r := made(t, of(t, withPayload(t, "x64")))
	dir := contents(t, r.path(live.ISO))
	efi := filepath.Join(dir, "images/efiboot.img")
	require.ElementsMatch(t, []string{
		"::/EFI/", "::/EFI/BOOT/", "::/EFI/BOOT/BOOTX64.EFI", "::/EFI/BOOT/grub.cfg", "::/EFI/BOOT/grubx64.efi", "::/EFI/BOOT/mmx64.efi",
	}, efiFiles(t, efi))
	require.Equal(t, "payload BOOT/BOOTX64.EFI", host(t, "mtype", "-i", efi, "::/EFI/BOOT/BOOTX64.EFI"))
	require.Equal(t, "search --label \""+volumeID+"\" --set root --no-floppy\nset prefix=($root)/EFI/openEuler\nconfigfile $prefix/grub.cfg",
		host(t, "mtype", "-i", efi, "::/EFI/BOOT/grub.cfg"))
	require.FileExists(t, filepath.Join(dir, "EFI/openEuler/grub.cfg"), "the config's directory is renamed")
	require.Contains(t, read(t, dir, "nestos/kargs.json"), `"path": "EFI/openEuler/grub.cfg"`)
}

func TestAarch64BootsByUEFIAlone(t *testing.T) {
	r := of(t, withPayload(t, "aa64"))
	r.source.Arch = arch.AArch64
	artifacts, err := r.write(t)
	require.NoError(t, err)
	iso := artifacts[live.ISO]
	require.Equal(t, "nestos-24.03-LTS.20250114.0-live.aarch64.iso", filepath.Base(iso))
	boot := host(t, "xorriso", "-indev", iso, "-report_el_torito", "plain")
	require.Regexp(t, `(?m)^El Torito boot img :   1  UEFI  y   none`, boot)
	require.NotContains(t, boot, "BIOS")
	dir := contents(t, iso)
	require.NoDirExists(t, filepath.Join(dir, "isolinux"))
	require.NotContains(t, read(t, dir, "nestos/kargs.json"), "isolinux")
	require.Contains(t, efiFiles(t, filepath.Join(dir, "images/efiboot.img")), "::/EFI/BOOT/BOOTAA64.EFI")
}

func TestTreeWithAnInstallerKeepsIt(t *testing.T) {
	tree := imagetest.SmallTree(t)
	example := filepath.Join(tree, "usr/share/nestos-installer/example-config.yaml")
	require.NoError(t, os.MkdirAll(filepath.Dir(example), 0o755))
	require.NoError(t, os.WriteFile(example, []byte("# what can be set\ndest-device: path\nignition-url: url\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(tree, "usr/bin/nestos-installer"), []byte("#!/bin/sh\n"), 0o755))

	r := made(t, of(t, tree))

	require.JSONEq(t, `{"installer-config": true, "live-initrd-network": true,
		"installer-config-directives": {"dest-device": true, "ignition-url": true}}`, read(t, contents(t, r.path(live.ISO)), "nestos/features.json"))
	list := host(t, "unsquashfs", "-l", "-o", "124", r.path(live.Rootfs))
	require.Contains(t, list, "nestos-installer/install\n")
	require.NotContains(t, list, "nestos-install.service")
}

func TestFixtureHasEveryFileAndNothingLarge(t *testing.T) {
	r := small(t)
	r.input.Fixture, r.input.Payloads = true, nil
	made(t, r)

	iso := r.path(live.ISO)
	info, err := os.Stat(iso)
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(4<<20))
	require.Contains(t, host(t, "isoinfo", "-d", "-i", iso), "Volume id: "+volumeID)
	boot := host(t, "xorriso", "-indev", iso, "-report_el_torito", "plain")
	require.Contains(t, boot, "El Torito img path :   1  /isolinux/isolinux.bin")
	require.Contains(t, boot, "El Torito img path :   2  /images/efiboot.img")
	dir := contents(t, iso)
	for name, text := range map[string]string{
		"images/efiboot.img": "efiboot.img\n", "images/pxeboot/vmlinuz": "the kernel\n",
		"images/pxeboot/initrd.img": "initrd data\n", "images/pxeboot/rootfs.img": "rootfs data\n",
	} {
		require.Equal(t, text, read(t, dir, name))
	}
	require.Equal(t, "rootfs data\n", read(t, r.path(live.Rootfs)))
	require.Equal(t, "\xfb\xc0\x78\x70", read(t, dir, "isolinux/isolinux.bin")[64:68])
	require.Len(t, read(t, dir, "images/ignition.img"), 262144)
	kargs := read(t, dir, "nestos/kargs.json")
	require.Contains(t, kargs, strings.Join(wantArgs, " "))
	require.Contains(t, read(t, dir, "nestos/features.json"), "installer-config")
	require.NoFileExists(t, filepath.Join(dir, "isolinux/ldlinux.c32"))
}

func TestBuildWhoseNameCannotBeALabelIsRefused(t *testing.T) {
	r := small(t)
	r.source.BuildID = "1 0"
	_, err := r.write(t)
	require.ErrorContains(t, err, `"nestos-1 0" the volume id`)
}

func TestMenusThatCannotBootAreRefused(t *testing.T) {
	sysroot := small(t).deploy(t)
	const sign = "# NESTOS_KARG_EMBED_AREA"
	for name, c := range map[string]struct {
		spoil func(*testing.T, *request)
		want  string
	}{
		"no UEFI menu": {func(t *testing.T, r *request) {
			require.NoError(t, os.RemoveAll(filepath.Join(r.menus, "EFI")))
		}, "has no EFI/*/grub.cfg, which boots the ISO under UEFI"},
		"two UEFI menus": {func(t *testing.T, r *request) {
			host(t, "cp", "-r", filepath.Join(r.menus, "EFI/debian"), filepath.Join(r.menus, "EFI/other"))
		}, "has 2 EFI/*/grub.cfg instead of one"},
		"no BIOS menu": {func(t *testing.T, r *request) {
			require.NoError(t, os.Remove(filepath.Join(r.menus, "isolinux/isolinux.cfg")))
		}, "has no isolinux/isolinux.cfg, which boots the ISO under BIOS"},
		"other arguments": {func(t *testing.T, r *request) {
			r.edit(t, "isolinux/isolinux.cfg", "console=tty0", "console=tty1")
		}, "isolinux/isolinux.cfg: has other kernel arguments"},
		"another size": {func(t *testing.T, r *request) { r.edit(t, "EFI/debian/grub.cfg", "#"+sign, sign) }, "or another size of their area"},
		"not a text":   {func(t *testing.T, r *request) { r.edit(t, "EFI/debian/grub.cfg", "set default", "\xff") }, "is not a text in UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			r := small(t)
			c.spoil(t, r)
			_, err := r.writeFrom(t, sysroot)
			require.ErrorContains(t, err, c.want)
			left, err := os.ReadDir(r.output)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}
