// Package image says, as data, what a disk image will be: its kind, its name,
// its partitions, file systems and kernel arguments. Nothing here writes; see
// image/disk for that.
package image

import (
	"fmt"
	"strings"

	"github.com/nestos/nosa-actions/internal/arch"
)

// Kind is a kind of image, named as its stage is: buildextend-KIND.
type Kind string

const (
	QEMU      Kind = "qemu"
	Metal     Kind = "metal"
	Metal4k   Kind = "metal4k"
	OpenStack Kind = "openstack"
	Live      Kind = "live" // several files and no disk: see image/live
)

// Format is a disk image file format, named as qemu-img names it.
type Format string

const (
	Raw   Format = "raw"
	QCOW2 Format = "qcow2"
)

// Traits are what sets one kind of disk apart from the others.
type Traits struct {
	Platform   string // ignition.platform.id
	Format     Format
	Extension  string // of the file name, without the dot
	SectorSize int64  // logical and physical, in bytes
	BIOS       bool   // carries a BIOS boot loader where the architecture has one
	Derived    bool   // made from a finished QEMU image
	Sized      bool   // the disk has image.yaml's size and root only what its content needs; else root fills a disk made to measure
}

var traits = map[Kind]Traits{
	QEMU:      {Platform: "qemu", Format: QCOW2, Extension: "qcow2", SectorSize: 512, BIOS: true, Sized: true},
	Metal:     {Platform: "metal", Format: Raw, Extension: "raw", SectorSize: 512, BIOS: true},
	Metal4k:   {Platform: "metal", Format: Raw, Extension: "raw", SectorSize: 4096},
	OpenStack: {Platform: "openstack", Format: QCOW2, Extension: "qcow2", SectorSize: 512, BIOS: true, Sized: true, Derived: true},
}

// Kinds lists the kinds that can be made.
func Kinds() []Kind { return []Kind{QEMU, Metal, Metal4k, OpenStack, Live} }

// ParseKind finds a kind by its name.
func ParseKind(name string) (Kind, error) {
	var known []string
	for _, k := range Kinds() {
		if string(k) == name {
			return k, nil
		}
		known = append(known, string(k))
	}
	return "", fmt.Errorf("unknown kind of image %q; known are %s", name, strings.Join(known, ", "))
}

// Traits are the kind's; those of a kind that is no disk, or unknown, are zero.
func (k Kind) Traits() Traits { return traits[k] }

// FileName is the artifact's name: NAME-BUILDID-KIND.ARCH.EXTENSION.
func (k Kind) FileName(name, buildID string, a arch.Arch) string {
	return fmt.Sprintf("%s-%s-%s.%s.%s", name, buildID, k, a, k.Traits().Extension)
}
