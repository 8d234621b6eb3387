package disk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/format/grub"
	"github.com/nestos/nosa-actions/internal/image"
)

// installLoaders puts the loaders on the disk and the modules of plain GRUBs
// into the boot directory, where scripts find them.
func (b *builder) installLoaders(ctx context.Context, boot string) error {
	if b.plan.BIOS {
		if err := b.installBIOS(ctx); err != nil {
			return fmt.Errorf("BIOS boot loader: %w", err)
		}
	}
	if err := b.makeESP(ctx, boot); err != nil {
		return fmt.Errorf("EFI system partition: %w", err)
	}
	modules := []string{}
	if b.plan.BIOS {
		modules = append(modules, b.load.bios)
	}
	if b.load.bootupd == "" {
		modules = append(modules, b.load.efi)
	}
	for _, dir := range modules {
		if err := linkTree(dir, filepath.Join(boot, "grub2", filepath.Base(dir))); err != nil {
			return fmt.Errorf("GRUB modules: %w", err)
		}
	}
	return nil
}

// installBIOS writes the tree's GRUB into the boot sector and the BIOS-BOOT
// partition.
func (b *builder) installBIOS(ctx context.Context) error {
	if b.load.bios == "" {
		return fmt.Errorf("the tree has no usr/lib/grub/i386-pc; add GRUB's package for BIOS to the manifest")
	}
	// The prefix is the boot partition of the disk that was booted from,
	// whichever that is; so a copy of the disk boots from itself.
	prefix := fmt.Sprintf("(,gpt%d)/grub2", image.BootPartition)
	err := b.load.makeCore(ctx, b.run, core{
		format: "i386-pc", modules: b.load.bios, prefix: prefix, dir: b.scratch, name: "core.img",
		extra: []string{"biosdisk", "all_video"},
	})
	if err != nil {
		return err
	}
	coreImg, err := os.ReadFile(filepath.Join(b.scratch, "core.img"))
	if err != nil {
		return err
	}
	bootImg, err := os.ReadFile(filepath.Join(b.load.bios, "boot.img"))
	if err != nil {
		return err
	}
	part := b.plan.Partition(image.FirmwarePartition)
	first := uint64(part.Start / grub.SectorSize)
	code, err := grub.BootCode(bootImg, first)
	if err != nil {
		return err
	}
	placed, err := grub.Core(coreImg, first, part.Size)
	if err != nil {
		return err
	}
	return b.writeAt(map[int64][]byte{0: code, part.Start: placed})
}

// writeAt writes pieces of the raw disk, by their offsets.
func (b *builder) writeAt(pieces map[int64][]byte) error {
	f, err := os.OpenFile(b.disk, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for at, piece := range pieces {
		if _, err := f.WriteAt(piece, at); err != nil {
			return err
		}
	}
	return f.Close()
}

// linkTree makes the directory to with hard links to the files directly in
// from, which lies on the same file system.
func linkTree(from, to string) error {
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if err := os.Link(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
