package live

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/tool"
)

// isolinux is where a distribution keeps the boot loader of CDs under BIOS.
type isolinux struct{ loader, modules, mbr string }

// isolinuxPlaces are those of Debian and of Fedora and openEuler.
var isolinuxPlaces = []isolinux{
	{"/usr/lib/ISOLINUX/isolinux.bin", "/usr/lib/syslinux/modules/bios", "/usr/lib/ISOLINUX/isohdpfx.bin"},
	{"/usr/share/syslinux/isolinux.bin", "/usr/share/syslinux", "/usr/share/syslinux/isohdpfx.bin"},
}

func findIsolinux() (isolinux, error) {
	for _, place := range isolinuxPlaces {
		if _, err := os.Stat(place.loader); err == nil {
			return place, nil
		}
	}
	return isolinux{}, errors.New("live images for BIOS need isolinux.bin; on Debian and Ubuntu: apt-get install isolinux syslinux-common")
}

// bios tells whether the ISO boots under BIOS.
func (b *builder) bios() bool { return b.Sysroot.Arch == arch.X86_64 }

// makeISO writes the tree as an ISO. Where there is BIOS it is a hybrid: the
// same bytes boot from a CD and from a disk.
func (b *builder) makeISO(ctx context.Context, output string) error {
	args := []string{
		"-as", "mkisofs", "-quiet", "-o", output, "-iso-level", "3", "-r", "-J", "-joliet-long",
		"-V", b.volID, "-volset", volumeSet(b.Sysroot),
	}
	if b.bios() {
		loader, err := b.copyIsolinux()
		if err != nil {
			return err
		}
		args = append(args, "-isohybrid-mbr", loader.mbr,
			"-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table",
			"-eltorito-alt-boot")
	}
	args = append(args, "-e", "images/efiboot.img", "-no-emul-boot")
	if b.bios() {
		args = append(args, "-isohybrid-gpt-basdat")
	}
	if _, err := b.run.Run(ctx, tool.Cmd{Name: "xorriso", Args: append(args, b.tree)}); err != nil {
		return fmt.Errorf("writing the ISO: %w", err)
	}
	return nil
}

// copyIsolinux puts the loader, and the modules that its menu uses, beside the
// config's isolinux.cfg.
func (b *builder) copyIsolinux() (isolinux, error) {
	loader, err := findIsolinux()
	if err != nil {
		return isolinux{}, err
	}
	if b.Fixture {
		path := filepath.Join(b.tree, "isolinux/isolinux.bin")
		if err := errors.Join(copyFile(path, loader.loader), fixtureOf(path)); err != nil {
			return isolinux{}, fmt.Errorf("%s: %w", loader.loader, err)
		}
		return loader, nil
	}
	files := []string{loader.loader}
	for _, module := range []string{"ldlinux.c32", "libcom32.c32", "libutil.c32", "vesamenu.c32"} {
		files = append(files, filepath.Join(loader.modules, module))
	}
	for _, file := range files {
		if err := copyFile(filepath.Join(b.tree, "isolinux", filepath.Base(file)), file); err != nil {
			return isolinux{}, fmt.Errorf("isolinux: %w", err)
		}
	}
	return loader, nil
}

// efiStub is what GRUB runs first: it finds the ISO by its label, on a CD as on
// a disk, and there the menu.
func efiStub(volID, vendor string) string {
	return fmt.Sprintf("search --label %q --set root --no-floppy\nset prefix=($root)/EFI/%s\nconfigfile $prefix/grub.cfg\n", volID, vendor)
}

// makeEFIBoot makes images/efiboot.img, the FAT file system that UEFI starts
// from, and returns the vendor's directory below EFI.
func (b *builder) makeEFIBoot(ctx context.Context) (vendor string, err error) {
	efi := filepath.Join(b.Scratch, "efiboot/EFI")
	vendor, err = b.Sysroot.RemovableLoader(ctx, efi, func(vendor string) string { return efiStub(b.volID, vendor) })
	if err != nil {
		return "", err
	}
	size, err := treeSize(efi)
	if err != nil {
		return "", err
	}
	file := filepath.Join(b.tree, "images/efiboot.img")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		return "", err
	}
	// A FAT and directories beside the content, in whole MiB.
	if err := os.Truncate(file, (size/(1<<20)+3)<<20); err != nil {
		return "", err
	}
	_, err = b.run.Run(ctx, tool.Cmd{Name: "mkfs.vfat", Args: []string{"-n", "EFI-SYSTEM", "--invariant", file}})
	if err != nil {
		return "", err
	}
	_, err = b.run.Run(ctx, tool.Cmd{Name: "mcopy", Args: []string{"-i", file, "-s", "-m", "-Q", efi, "::"}})
	return vendor, err
}

// treeSize is the sum of the files' sizes, rounded up to clusters.
func treeSize(dir string) (int64, error) {
	var size int64
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil {
			size += (info.Size() + 4095) &^ 4095
		}
		return err
	})
	return size, err
}
