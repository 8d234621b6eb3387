// Package grub places GRUB's BIOS images on a disk image, natively: it does to
// bytes what grub-install does to a device, so that no device and no mount is
// needed. The formats are those of GRUB 2's boot/i386/pc/boot.S and diskboot.S.
//
// It does not make core images; that is grub-mkimage's work.
package grub

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

const (
	// SectorSize is the only sector size that GRUB's BIOS loader knows.
	SectorSize = 512
	// BootCodeSize is the part of a boot sector that belongs to the loader;
	// disk signature and partition table follow it.
	BootCodeSize = 440

	kernelSectorAt = 0x5c // 64-bit address of the core image's first sector
	bootDriveAt    = 0x64 // BIOS drive to read from; 0xff: the one booted from
	driveCheckAt   = 0x66 // a jump that distrusts the drive number from the BIOS
	thisDrive      = 0xff
	nop            = 0x90

	blockListAt = SectorSize - 12 // in the core image: start, length, segment
	loadSegment = 0x820           // where diskboot loads the rest, in paragraphs
)

// BootCode turns the boot.img of a GRUB into the boot code of a disk whose core
// image begins at sector coreSector.
func BootCode(bootImg []byte, coreSector uint64) ([]byte, error) {
	if len(bootImg) != SectorSize || !bytes.Equal(bootImg[510:], []byte{0x55, 0xaa}) {
		return nil, fmt.Errorf("boot.img of %d bytes is no boot sector, which is %d bytes that end in 55 aa", len(bootImg), SectorSize)
	}
	if coreSector == 0 {
		return nil, fmt.Errorf("core image cannot begin at sector 0")
	}
	code := bytes.Clone(bootImg[:BootCodeSize])
	binary.LittleEndian.PutUint64(code[kernelSectorAt:], coreSector)
	code[bootDriveAt] = thisDrive
	// grub-install does the same for every disk that is not a floppy.
	code[driveCheckAt], code[driveCheckAt+1] = nop, nop
	return code, nil
}

// Core turns the core.img of grub-mkimage into what lies on a disk from sector
// first on, in consecutive sectors, at most limit bytes: whole sectors, with
// the block list that leads the first sector to the others.
func Core(coreImg []byte, first uint64, limit int64) ([]byte, error) {
	if len(coreImg) <= SectorSize {
		return nil, fmt.Errorf("core image of %d bytes is too short", len(coreImg))
	}
	if got := binary.LittleEndian.Uint16(coreImg[blockListAt+10:]); got != loadSegment {
		return nil, fmt.Errorf("core image has no block list for BIOS: load segment %#x, not %#x", got, loadSegment)
	}
	sectors := (len(coreImg) + SectorSize - 1) / SectorSize
	if int64(sectors)*SectorSize > limit {
		return nil, fmt.Errorf("core image of %d bytes does not fit into %d", len(coreImg), limit)
	}
	if sectors-1 > 0xffff {
		return nil, fmt.Errorf("core image of %d sectors is longer than one block list entry", sectors)
	}
	core := make([]byte, sectors*SectorSize)
	copy(core, coreImg)
	binary.LittleEndian.PutUint64(core[blockListAt:], first+1)
	binary.LittleEndian.PutUint16(core[blockListAt+8:], uint16(sectors-1))
	return core, nil
}
