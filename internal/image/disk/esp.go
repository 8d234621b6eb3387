package disk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/nestos/nosa-actions/internal/image"
	"github.com/nestos/nosa-actions/internal/sparsefile"
	"github.com/nestos/nosa-actions/internal/tool"
)

// stubConfig is the grub.cfg beside the EFI loader. It finds /boot: on a RAID,
// by the UUID that the first boot notes down, or by its label.
const stubConfig = `if [ -e (md/md-boot) ]; then
  set prefix=md/md-boot
else
  if [ -f ${config_directory}/bootuuid.cfg ]; then
    source ${config_directory}/bootuuid.cfg
  fi
  if [ -n "${BOOT_UUID}" ]; then
    search --fs-uuid "${BOOT_UUID}" --set prefix --no-floppy
  else
    search --label boot --set prefix --no-floppy
  fi
fi
set prefix=($prefix)/grub2
configfile $prefix/grub.cfg
`

// makeESP makes the EFI system partition: from bootupd's payload if the tree
// has one, else with a GRUB image of our making.
func (b *builder) makeESP(ctx context.Context, boot string) error {
	efi := filepath.Join(b.scratch, "esp/EFI")
	var err error
	if b.load.bootupd != "" {
		err = b.copyPayload(efi, boot)
	} else {
		err = b.makeEFIImage(ctx, efi)
	}
	if err != nil {
		return err
	}
	vendor := filepath.Join(efi, b.load.vendor)
	if err := os.MkdirAll(vendor, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(vendor, "grub.cfg"), []byte(stubConfig), 0o644); err != nil {
		return err
	}
	return b.makeFAT(ctx, efi)
}

// makeEFIImage puts a removable-media loader of the tree's GRUB modules below
// efi. It has no shim: secure boot needs a tree with bootupd's payload.
func (b *builder) makeEFIImage(ctx context.Context, efi string) error {
	dir := filepath.Join(efi, "BOOT")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return b.load.makeCore(ctx, b.run, core{
		format: b.Arch.GRUB, modules: b.load.efi, prefix: "/EFI/" + b.load.vendor, dir: dir,
		name: "BOOT" + b.Arch.EFI + ".EFI", extra: []string{"fat", "all_video", "efifwsetup"},
	})
}

// makeFAT makes the file system of the EFI partition with the directory efi. It
// is made apart from the disk, since mkfs.vfat chooses the width of the FAT by
// the size of the file that it writes to.
func (b *builder) makeFAT(ctx context.Context, efi string) error {
	part := b.plan.Partition(image.ESPPartition)
	file := filepath.Join(b.scratch, "esp.img")
	if err := sparsefile.Create(file, part.Size); err != nil {
		return err
	}
	_, err := b.run.Run(ctx, tool.Cmd{Name: "mkfs.vfat", Args: []string{
		"-n", part.FS.Label, "-i", part.FS.UUID, "-S", strconv.FormatInt(b.plan.SectorSize, 10),
		"-h", strconv.FormatInt(part.Start/b.plan.SectorSize, 10), file,
	}})
	if err != nil {
		return fmt.Errorf("making the file system: %w", err)
	}
	_, err = b.run.Run(ctx, tool.Cmd{Name: "mcopy", Args: []string{"-i", file, "-s", "-m", "-Q", efi, "::"}})
	if err != nil {
		return fmt.Errorf("copying the files: %w", err)
	}
	return copySparse(b.disk, part.Start, file)
}
