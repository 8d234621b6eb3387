package image

import (
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/google/uuid"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/imageconf"
)

// What the first boot recognises as fresh from the build and replaces.
const (
	DiskGUID = "00000000-0000-4000-a000-000000000001"
	BootUUID = "96d15588-3596-4b3c-adca-a2ff7279ea63"
	RootUUID = "910678ff-f77e-4a7d-8d53-86f2ac47a823"
)

// Partition numbers, the same on every architecture.
const (
	FirmwarePartition = 1 // BIOS-BOOT, or a placeholder where there is no BIOS
	ESPPartition      = 2
	BootPartition     = 3
	RootPartition     = 4
)

// Partition types.
const (
	TypeBIOSBoot = "21686148-6449-6E6F-744E-656564454649"
	TypeReserved = "8DA63339-0007-60C0-C436-083AC8230908"
	TypeESP      = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
	TypeLinux    = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
)

// Plan is everything about a disk image that is settled before its first byte
// is written.
type Plan struct {
	Kind       Kind
	Arch       arch.Arch
	FileName   string
	Format     Format
	Size       int64 // of the disk, in bytes
	SectorSize int64
	DiskGUID   string
	BIOS       bool // place a BIOS boot loader
	Partitions []Partition
	Kargs      []string // without ostree's own
}

// Partition is one partition and what is made in it.
type Partition struct {
	Number int
	Label  string // GPT name
	Type   string // GUID
	GUID   string
	Start  int64 // in bytes from the disk's begin
	Size   int64 // in bytes
	FS     *Filesystem
}

// Request is what a plan follows from.
type Request struct {
	Kind      Kind
	Arch      arch.Arch
	Name      string // of the build, which is also the stateroot
	BuildID   string
	Config    *imageconf.Config
	Platforms imageconf.Platforms
	Content   Content
	Random    io.Reader // for partition GUIDs; nil: crypto/rand
}

// NewPlan lays out a disk.
func NewPlan(r Request) (*Plan, error) {
	t := r.Kind.Traits()
	if t.Format == "" {
		return nil, fmt.Errorf("unknown kind of disk image %q", r.Kind)
	}
	root, err := rootFilesystem(r.Config, r.Content)
	if err != nil {
		return nil, err
	}
	boot, err := bootFilesystem(r.Config)
	if err != nil {
		return nil, err
	}
	p := &Plan{
		Kind:       r.Kind,
		Arch:       r.Arch,
		FileName:   r.Kind.FileName(r.Name, r.BuildID, r.Arch),
		Format:     t.Format,
		SectorSize: t.SectorSize,
		DiskGUID:   DiskGUID,
		BIOS:       t.BIOS && r.Arch == arch.X86_64,
		Partitions: firmwarePartitions(r.Arch),
		Kargs:      Kargs(r.Kind, r.Arch, r.Config, r.Platforms),
	}
	p.Partitions = append(p.Partitions,
		Partition{Number: BootPartition, Label: "boot", Type: TypeLinux, Size: 384 * mib, FS: boot},
		Partition{Number: RootPartition, Label: "root", Type: TypeLinux, FS: root})
	if err := p.measure(r, t); err != nil {
		return nil, err
	}
	return p, p.assignGUIDs(r.Random)
}

func firmwarePartitions(a arch.Arch) []Partition {
	first := Partition{Number: FirmwarePartition, Label: "reserved", Type: TypeReserved, Size: mib}
	if a == arch.X86_64 {
		first.Label, first.Type = "BIOS-BOOT", TypeBIOSBoot
	}
	return []Partition{first, {
		Number: ESPPartition, Label: "EFI-SYSTEM", Type: TypeESP, Size: 127 * mib,
		FS: &Filesystem{Type: VFAT, Label: "EFI-SYSTEM"},
	}}
}

// measure places the partitions one after the other, on MiB boundaries, and
// gives the disk and the root partition their sizes. The last MiB of a disk
// holds the backup of the partition table.
func (p *Plan) measure(r Request, t Traits) error {
	root := &p.Partitions[len(p.Partitions)-1]
	at := int64(mib)
	for i := range p.Partitions {
		p.Partitions[i].Start = at
		at += p.Partitions[i].Size
	}
	need := max(r.Content.MiB()*mib, root.FS.minimum())
	// Of one size on all disks, so that one root file system serves them all.
	root.Size = need - mib
	if !t.Sized {
		p.Size = at + need
		return nil
	}
	p.Size = int64(r.Config.Size) << 30
	if least := at + need; p.Size < least {
		return fmt.Errorf("image.yaml: size: %d GiB asked for, the tree needs at least %d: %w",
			r.Config.Size, (least+1<<30-1)>>30, ErrNoSpace)
	}
	return nil
}

// assignGUIDs names the partitions and the EFI file system at random.
func (p *Plan) assignGUIDs(random io.Reader) error {
	if random == nil {
		random = rand.Reader
	}
	for i := range p.Partitions {
		id, err := uuid.NewRandomFromReader(random)
		if err != nil {
			return fmt.Errorf("choosing partition GUIDs: %w", err)
		}
		part := &p.Partitions[i]
		part.GUID = id.String()
		if part.FS != nil && part.FS.UUID == "" {
			part.FS.UUID = fmt.Sprintf("%X", id[:4]) // FAT has four bytes
		}
	}
	return nil
}

// Partition finds a partition by its number; it panics where there is none,
// since every plan has all four.
func (p *Plan) Partition(number int) Partition {
	for _, part := range p.Partitions {
		if part.Number == number {
			return part
		}
	}
	panic(fmt.Sprintf("plan without partition %d", number))
}

// String shows the plan to a person.
func (p *Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %d MiB, sectors of %d bytes, disk GUID %s\n",
		p.FileName, p.Format, p.Size/mib, p.SectorSize, p.DiskGUID)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "#\tlabel\tstart MiB\tMiB\ttype\tGUID\tfile system")
	for _, part := range p.Partitions {
		fmt.Fprintf(w, "%d\t%s\t%d\t%d\t%s\t%s\t%s\n", part.Number, part.Label,
			part.Start/mib, part.Size/mib, part.Type, part.GUID, part.FS)
	}
	w.Flush() //nolint:errcheck // a Builder takes everything
	fmt.Fprintf(&b, "BIOS boot loader: %t\nkernel arguments: %s\n", p.BIOS, strings.Join(p.Kargs, " "))
	return b.String()
}
