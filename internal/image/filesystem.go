package image

import (
	"fmt"
	"strings"

	"github.com/nestos/nosa-actions/internal/imageconf"
)

// FSType is a type of file system.
type FSType string

const (
	VFAT  FSType = "vfat"
	Ext4  FSType = "ext4"
	XFS   FSType = "xfs"
	Btrfs FSType = "btrfs"
)

// Filesystem says how a file system is made.
type Filesystem struct {
	Type  FSType
	Label string
	UUID  string // for FAT the volume id, eight hexadecimal digits

	Verity       bool // ext4 with fs-verity
	CsumSeed     bool // ext4 with metadata_csum_seed
	GRUBReads    bool // only features that every GRUB 2.06 can read
	Inodes       int64
	ExtraOptions []string // more words for mkfs
}

func rootFilesystem(c *imageconf.Config, content Content) (*Filesystem, error) {
	fs := &Filesystem{Label: "root", UUID: RootUUID, ExtraOptions: strings.Fields(c.RootFSArgs)}
	switch c.RootFS {
	case "xfs":
		fs.Type = XFS
	case "btrfs":
		fs.Type = Btrfs
	case "ext4", "ext4verity":
		fs.Type = Ext4
		fs.Verity = c.RootFS == "ext4verity"
		// Room for the deployment's directories, /etc, /var and as much again.
		fs.Inodes = 2*content.Objects + 4096
	default:
		return nil, fmt.Errorf("image.yaml: rootfs: %q is not one of xfs, ext4, ext4verity, btrfs", c.RootFS)
	}
	return fs, nil
}

func bootFilesystem(c *imageconf.Config) (*Filesystem, error) {
	fs := &Filesystem{Type: Ext4, Label: "boot", UUID: BootUUID, GRUBReads: true, CsumSeed: c.BootFSMetadataCsumSeed}
	switch c.BootFS {
	case "ext4":
	case "ext4verity":
		fs.Verity = true
	default:
		return nil, fmt.Errorf("image.yaml: bootfs: %q is not one of ext4, ext4verity", c.BootFS)
	}
	return fs, nil
}

// minimum is the least size that mkfs accepts, with a whole MiB for the backup
// of the partition table where root ends with the disk.
func (fs *Filesystem) minimum() int64 {
	switch fs.Type {
	case XFS:
		return 321 * mib // mkfs.xfs since 6.0 refuses less than 300 MiB
	case Btrfs:
		return 129 * mib
	default:
		return 33 * mib
	}
}

// String shows the file system to a person; nil is a partition without one.
func (fs *Filesystem) String() string {
	if fs == nil {
		return "-"
	}
	words := []string{string(fs.Type), fs.UUID}
	if fs.Verity {
		words = append(words, "verity")
	}
	if fs.CsumSeed {
		words = append(words, "metadata_csum_seed")
	}
	if fs.Inodes > 0 {
		words = append(words, fmt.Sprintf("inodes>=%d", fs.Inodes))
	}
	return strings.Join(append(words, fs.ExtraOptions...), " ")
}
