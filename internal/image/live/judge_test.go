package live_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/image/live"
)

// contents extracts the ISO.
func contents(t *testing.T, iso string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "iso")
	host(t, "xorriso", "-osirrox", "on", "-indev", iso, "-extract", "/", dir)
	return dir
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return string(text)
}

func judged(t *testing.T, r *request) {
	iso := r.path(live.ISO)
	require.Contains(t, host(t, "file", iso), "ISO 9660 CD-ROM filesystem data (DOS/MBR boot sector) '"+volumeID+"' (bootable)")
	head := host(t, "isoinfo", "-d", "-i", iso)
	for _, line := range []string{
		"Volume id: " + volumeID, "Volume set id: " + volumeID, "Rock Ridge signatures version 1 found", "Joliet with UCS level 3 found",
	} {
		require.Contains(t, head, line)
	}
	boot := host(t, "xorriso", "-indev", iso, "-report_el_torito", "plain", "-report_system_area", "plain")
	require.Regexp(t, `(?m)^El Torito boot img :   1  BIOS  y   none`, boot)
	require.Regexp(t, `(?m)^El Torito boot img :   2  UEFI  y   none`, boot)
	require.Contains(t, boot, "El Torito img path :   1  /isolinux/isolinux.bin")
	require.Contains(t, boot, "El Torito img opts :   1  boot-info-table isohybrid-suitable")
	require.Contains(t, boot, "El Torito img path :   2  /images/efiboot.img")
	require.Contains(t, boot, "isohybrid", "the boot sector of a disk")

	var names []string
	for line := range strings.Lines(host(t, "isoinfo", "-R", "-f", "-i", iso)) {
		names = append(names, strings.TrimSpace(line))
	}
	require.ElementsMatch(t, []string{
		"/EFI", "/EFI/nestos", "/EFI/nestos/grub.cfg",
		"/images", "/images/efiboot.img", "/images/ignition.img",
		"/images/pxeboot", "/images/pxeboot/initrd.img", "/images/pxeboot/rootfs.img", "/images/pxeboot/vmlinuz",
		"/isolinux", "/isolinux/boot.cat", "/isolinux/isolinux.bin", "/isolinux/isolinux.cfg",
		"/isolinux/ldlinux.c32", "/isolinux/libcom32.c32", "/isolinux/libutil.c32", "/isolinux/vesamenu.c32",
		"/nestos", "/nestos/features.json", "/nestos/igninfo.json", "/nestos/kargs.json",
	}, names)

	efi := filepath.Join(contents(t, iso), "images/efiboot.img")
	host(t, "fsck.vfat", "-n", efi)
	require.Contains(t, host(t, "blkid", "-p", efi), `LABEL="EFI-SYSTEM"`)
	require.Contains(t, host(t, "mtype", "-i", efi, "::/EFI/BOOT/grub.cfg"), `search --label "`+volumeID+`"`)
}

func changeable(t *testing.T, r *request) {
	dir := contents(t, r.path(live.ISO))
	var kargs struct {
		Default string
		Size    int
		Files   []struct {
			Path, Pad, End string
			Offset         int
		}
	}
	text := read(t, dir, "nestos/kargs.json")
	require.NoError(t, json.Unmarshal([]byte(text), &kargs))
	require.True(t, strings.HasPrefix(text, "{\n  \"default\": "), text)
	require.Equal(t, strings.Join(wantArgs, " "), kargs.Default)
	require.Equal(t, len(kargs.Default)+1+1023, kargs.Size, "the last number sign begins the comment")
	var paths []string
	for _, f := range kargs.Files {
		menu := read(t, dir, f.Path)
		area := menu[f.Offset:][:kargs.Size]
		require.Equal(t, kargs.Default+"\n"+strings.Repeat("#", 1023), area)
		require.True(t, strings.HasPrefix(menu[f.Offset+kargs.Size:], "# NESTOS_KARG_EMBED_AREA\n"))
		require.Equal(t, []string{"#", "\n"}, []string{f.Pad, f.End})
		paths = append(paths, f.Path)
	}
	require.Equal(t, []string{"EFI/nestos/grub.cfg", "isolinux/isolinux.cfg"}, paths)
	require.Equal(t, "{\n  \"file\": \"images/ignition.img\"\n}\n", read(t, dir, "nestos/igninfo.json"))
	require.Equal(t, strings.Repeat("\x00", 262144), read(t, dir, "images/ignition.img"))
	require.JSONEq(t, `{"installer-config": true, "live-initrd-network": true}`, read(t, dir, "nestos/features.json"))
}

func servesPXE(t *testing.T, r *request) {
	dir := contents(t, r.path(live.ISO))
	for artifact, name := range map[string]string{live.Kernel: "vmlinuz", live.Initramfs: "initrd.img", live.Rootfs: "rootfs.img"} {
		require.True(t, read(t, r.path(artifact)) == read(t, dir, "images/pxeboot", name), "%s differs from the ISO's", artifact)
	}
}

func knowsItsRoot(t *testing.T, r *request) {
	initrd := read(t, r.path(live.Initramfs))
	tree := strings.Repeat("initramfs", 1000)
	require.True(t, strings.HasPrefix(initrd, tree))
	require.Zero(t, len(initrd)%4)
	more := filepath.Join(t.TempDir(), "more.cpio.gz")
	require.NoError(t, os.WriteFile(more, []byte(initrd[len(tree):]), 0o644))
	dir := t.TempDir()
	// Padding follows the compressed archive, as the kernel allows it.
	host(t, "sh", "-c", `zcat "$1" 2>/dev/null | (cd "$2" && cpio --quiet -idm)`, "sh", more, dir)
	require.Equal(t, "24.03-LTS.20250114.0\n", read(t, dir, "etc/nestos-live-initramfs"))
	require.JSONEq(t, `{"installer-config": true, "live-initrd-network": true}`, read(t, dir, "etc/nestos/features.json"))

	want := "stream-hash sha256 2097152\n"
	rest := []byte(read(t, r.path(live.Rootfs)))
	for len(rest) > 0 {
		block := rest[:min(len(rest), 2<<20)]
		want += fmt.Sprintf("%x\n", sha256.Sum256(block))
		rest = rest[len(block):]
	}
	require.Equal(t, want, read(t, dir, "etc/nestos-live-want-rootfs"))
}

// members lists an archive of rootfs.img.
func members(t *testing.T, rootfs string) []string {
	t.Helper()
	return strings.Fields(host(t, "sh", "-c", `cpio --quiet -t <"$1"`, "sh", rootfs))
}

func rootOfMetal(t *testing.T, r *request) {
	rootfs := r.path(live.Rootfs)
	require.Equal(t, "root.squashfs", members(t, rootfs)[0])
	require.Equal(t, "hsqs", read(t, rootfs)[124:128])
	info := host(t, "unsquashfs", "-o", "124", "-s", rootfs)
	require.Contains(t, info, "Compression lz4")
	dir := filepath.Join(t.TempDir(), "root")
	host(t, "unsquashfs", "-quiet", "-no-progress", "-o", "124", "-d", dir, rootfs)

	deployment := filepath.Join(dir, "ostree/deploy/nestos/deploy", r.source.Commit+".0")
	require.Contains(t, host(t, "stat", "-c", "%a %h", filepath.Join(deployment, "usr/bin/tool")), "4755 2")
	require.NotContains(t, read(t, dir, "ostree/repo/config"), "readonly")
	require.Contains(t, read(t, dir, ".nestos-aleph-version.json"), `"imgid": "nestos-24.03-LTS.20250114.0-metal.x86_64.raw"`)
	require.FileExists(t, filepath.Join(dir, "boot/ignition.firstboot"))
	entry := host(t, "sh", "-c", `cat "$1"/boot/loader/entries/*.conf`, "sh", dir)
	require.Contains(t, entry, "ignition.platform.id=metal $ignition_firstboot")
	kernels, err := filepath.Glob(filepath.Join(dir, "boot/vmlinuz*"))
	require.NoError(t, err)
	require.Len(t, kernels, 1)
	require.NotEqual(t, "1", host(t, "stat", "-c", "%h", kernels[0]), "it is a hard link")
	host(t, "ostree", "fsck", "--repo="+filepath.Join(dir, "ostree/repo"))

	require.Equal(t, "755", host(t, "stat", "-c", "%a", filepath.Join(dir, "nestos-installer/install")))
	wants := filepath.Join(deployment, "etc/systemd/system/multi-user.target.wants/nestos-install.service")
	require.Contains(t, read(t, wants), "ExecStart=/sysroot/nestos-installer/install")
}

func payloadsOnBoard(t *testing.T, r *request) {
	rootfs := r.path(live.Rootfs)
	require.Equal(t, []string{
		"root.squashfs", "etc", "etc/nestos-live-rootfs", "nestos-installer",
		"nestos-installer/metal.info", "nestos-installer/metal.raw.zst",
		"nestos-installer/metal4k.info", "nestos-installer/metal4k.raw.zst",
	}, members(t, rootfs))
	cat := func(name, filter string) string {
		file := filepath.Join(t.TempDir(), "member")
		host(t, "sh", "-c", `cpio --quiet -i --to-stdout "$2" <"$1" | `+filter+` >"$3"`, "sh", rootfs, name, file)
		return read(t, file)
	}
	require.Equal(t, "24.03-LTS.20250114.0\n", cat("etc/nestos-live-rootfs", "cat"))
	require.Equal(t, "sum-metal 4194304 512 24.03-LTS.20250114.0\n", cat("nestos-installer/metal.info", "cat"))
	require.Equal(t, "sum-metal4k 4194304 4096 24.03-LTS.20250114.0\n", cat("nestos-installer/metal4k.info", "cat"))
	require.True(t, cat("nestos-installer/metal.raw.zst", "zstd -dc") == string(metal()))
	require.True(t, cat("nestos-installer/metal4k.raw.zst", "zstd -dc") == string(metal4k()))
}
