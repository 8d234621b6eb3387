package inspect

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/format/grub"
	"github.com/nestos/nosa-actions/internal/image"
)

// expectation is what the layout of every image has, whatever it was made from.
type expectation struct {
	number          int
	label, kind     string
	fsLabel, fsUUID string
	fsTypes         []string
	typeName        string
}

func (i *inspector) layout() []expectation {
	first := expectation{number: image.FirmwarePartition, label: "BIOS-BOOT", kind: image.TypeBIOSBoot, typeName: "BIOS boot"}
	if i.arch() == "aarch64" {
		first.label, first.kind, first.typeName = "reserved", image.TypeReserved, "reserved"
	}
	return []expectation{
		first,
		{number: image.ESPPartition, label: "EFI-SYSTEM", kind: image.TypeESP, typeName: "EFI system", fsLabel: "EFI-SYSTEM", fsTypes: []string{"vfat"}},
		{number: image.BootPartition, label: "boot", kind: image.TypeLinux, typeName: "Linux", fsLabel: "boot", fsUUID: image.BootUUID, fsTypes: []string{"ext4"}},
		{number: image.RootPartition, label: "root", kind: image.TypeLinux, typeName: "Linux", fsLabel: "root", fsUUID: image.RootUUID, fsTypes: []string{"xfs", "ext4", "btrfs"}},
	}
}

// arch is what the build says, else what the table looks like.
func (i *inspector) arch() string {
	if i.want.Arch != "" {
		return i.want.Arch
	}
	if p := i.parts[image.FirmwarePartition]; p != nil && p.Type == image.TypeReserved {
		return "aarch64"
	}
	return "x86_64"
}

// judgePartitions holds the partitions against the layout.
func (i *inspector) judgePartitions() {
	guids := map[string]int{}
	for _, p := range i.img.Partitions {
		if other, there := guids[p.GUID]; there {
			i.bad("partition table", "partitions %d and %d have the same GUID %s", other, p.Number, p.GUID)
		}
		guids[p.GUID] = p.Number
		for _, q := range i.img.Partitions {
			if q.Number > p.Number && p.Start < q.Start+q.Size && q.Start < p.Start+p.Size {
				i.bad("partition table", "partitions %d and %d overlap", p.Number, q.Number)
			}
		}
	}
	for _, want := range i.layout() {
		p := i.parts[want.number]
		if p == nil {
			i.bad("partition table", "partition %d (%s) is missing", want.number, want.label)
			continue
		}
		if p.Label != want.label {
			i.bad("partition table", "partition %d is called %q instead of %q", want.number, p.Label, want.label)
		}
		if p.Type != want.kind {
			i.bad("partition table", "partition %d (%s) is of type %s instead of %s (%s)", want.number, want.label, p.Type, want.kind, want.typeName)
		}
		i.judgeFilesystem(p, want)
	}
	if len(i.img.Partitions) > len(i.layout()) {
		i.odd("partition table", "there are %d partitions instead of %d", len(i.img.Partitions), len(i.layout()))
	}
}

func (i *inspector) judgeFilesystem(p *section, want expectation) {
	if len(want.fsTypes) == 0 {
		return
	}
	where := want.label
	fsys := p.Filesystem
	if fsys == nil {
		i.bad(where, "there is no file system; it should be %s", strings.Join(want.fsTypes, " or "))
		return
	}
	if !slices.Contains(want.fsTypes, fsys.Type) {
		i.bad(where, "the file system is %s instead of %s", fsys.Type, strings.Join(want.fsTypes, " or "))
		return
	}
	if fsys.Label != want.fsLabel {
		i.bad(where, "the label is %q instead of %q, by which it is found", fsys.Label, want.fsLabel)
	}
	if want.fsUUID != "" && fsys.UUID != want.fsUUID {
		i.bad(where, "the UUID is %s instead of %s, by which the first boot knows a fresh file system", fsys.UUID, want.fsUUID)
	}
}

// Where a boot sector of GRUB says where the core image begins, and a core image
// which sectors follow its first: see internal/format/grub.
const (
	bootKernelAt = 0x5c
	coreListAt   = grub.SectorSize - 12
)

// bios looks whether a PC's firmware would get to GRUB: boot code, which leads
// to a core image in its partition, which lists its own sectors.
func (i *inspector) bios() {
	part := i.parts[image.FirmwarePartition]
	if part == nil || part.Type != image.TypeBIOSBoot || i.img.SectorSize != grub.SectorSize {
		return
	}
	const where = "BIOS-BOOT"
	code := i.disk.bytes(0, grub.SectorSize)
	le := binary.LittleEndian
	first := part.Start / grub.SectorSize
	if code == nil || bytes.Count(code[:grub.BootCodeSize], []byte{0}) == grub.BootCodeSize {
		i.bad("boot sector", "there is no boot code")
		return
	}
	if !bytes.Contains(code[:grub.BootCodeSize], []byte("GRUB")) {
		i.bad("boot sector", "the boot code is not GRUB's")
		return
	}
	if got := int64(le.Uint64(code[bootKernelAt:])); got != first {
		i.bad("boot sector", "the boot code loads sector %d; the partition for it begins at %d", got, first)
		return
	}
	head := i.disk.bytes(part.Start, grub.SectorSize)
	if head == nil || bytes.Count(head, []byte{0}) == len(head) {
		i.bad(where, "there is no core image")
		return
	}
	next, length := int64(le.Uint64(head[coreListAt:])), int64(le.Uint16(head[coreListAt+8:]))
	if next != first+1 || length == 0 || (length+1)*grub.SectorSize > part.Size {
		i.bad(where, "the core image says that %d sectors follow from %d on, which is not where they are", length, next)
		return
	}
	core := i.disk.bytes(part.Start, int(length+1)*grub.SectorSize)
	if at := hole(core); at >= 0 {
		i.bad(where, "the core image has nothing but zeros from byte %d on; it is cut short or overwritten", at)
		return
	}
	i.img.BIOSLoader = true
}

// hole finds a sector of zeros inside of compressed code, where none can be; -1
// if there is none.
func hole(core []byte) int {
	zero := make([]byte, grub.SectorSize)
	for at := 0; at+grub.SectorSize <= len(core); at += grub.SectorSize {
		if bytes.Equal(core[at:at+grub.SectorSize], zero) {
			return at
		}
	}
	return -1
}
