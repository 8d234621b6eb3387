// Package imageconf reads what a config repository says about its disk images:
// image.yaml with its includes, and the console table platforms.yaml.
package imageconf

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/nestos/nosa-actions/internal/diag"
)

// GrubScript is the built-in GRUB configuration, which becomes the key
// grub-script. GRUB's own syntax; /boot/grub2/grub.cfg on the image.
//
//go:embed grub.cfg
var GrubScript string

// Marker lines in GrubScript. What is between them may be replaced by the GRUB
// commands of a platform, here and by installers.
const (
	ConsoleStart = "# CONSOLE-SETTINGS-START"
	ConsoleEnd   = "# CONSOLE-SETTINGS-END"
)

// Config is image.yaml, flattened and over the defaults. The fields are to be
// read: JSON gives what was loaded, with the keys that have no field.
type Config struct {
	Size       int    // virtual size of the qcow2 in GiB; 0 where not set
	RootFS     string // xfs, ext4 (not known upstream), ext4verity or btrfs
	RootFSArgs string // further words for mkfs of the root
	BootFS     string // ext4 or ext4verity

	BootFSMetadataCsumSeed bool
	Composefs              bool
	ExtraKargs             []string

	OSTreeRemote       string // remote of the deployed ref; empty: the bare commit
	OSTreeFormat       string // always oci-chunked-v1
	DeployViaContainer bool
	ContainerImgref    string
	InjectCVOLabels    bool // OpenShift labels on the OCI archive

	Compressor          string // gzip, xz or zstd
	SquashfsCompression string // mksquashfs compressor of the live root
	SquashfsLevel       int    // its level; 0 for mksquashfs's own (not known upstream)
	GrubScript          string

	VMwareHWVersion  int
	VMwareOSType     string
	VMwareSecureBoot bool

	Warnings []diag.Finding // probably not what was meant, but usable

	raw map[string]any
}

// Values of Config.Compressor: how an image is compressed for publication.
const (
	CompressorGzip = "gzip"
	CompressorXz   = "xz"
	CompressorZstd = "zstd"
)

// SquashfsZstdLevel is the level of zstd where image.yaml sets none, in place of
// mksquashfs's own 15, which takes eight times as long to save 6 %.
const SquashfsZstdLevel = 9

// squashfsLevels are the highest levels of mksquashfs's compressors, 0 for those
// that have none; the lowest is 1.
var squashfsLevels = map[string]int{"gzip": 9, "lz4": 0, "lzo": 9, "xz": 0, "zstd": 22}

// defaults are the values of keys that nothing sets. They are a part of the
// JSON, since later stages need them.
func defaults() map[string]any {
	return map[string]any{
		"aws-imdsv2-only":           true,
		"aws-volume-type":           "gp3",
		"aws-x86-boot-mode":         "uefi-preferred",
		"bootfs":                    "ext4",
		"bootfs_metadata_csum_seed": false,
		"composefs":                 false,
		"deploy-via-container":      false,
		"extra-kargs":               []any{},
		"ostree-container-inject-openshift-cvo-labels": false,
		"ostree-format":        "oci-chunked-v1",
		"rootfs":               "xfs",
		"rootfs-args":          "",
		"squashfs-compression": "zstd",
		"vmware-hw-version":    int64(13),
		"vmware-os-type":       "rhel7_64Guest",
		"vmware-secure-boot":   true,
	}
}

// JSON is the configuration on one line with its keys sorted, the form of
// tmp/image.json. Its sha256 decides whether an image is still current.
func (c *Config) JSON() ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(c.raw); err != nil {
		return nil, fmt.Errorf("write image configuration: %w", err)
	}
	return buf.Bytes(), nil
}
