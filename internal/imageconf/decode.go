package imageconf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/format/document"
)

// knownKeys are all keys with a meaning; others are carried along with a
// warning.
var knownKeys = []string{
	"aws-imdsv2-only", "aws-volume-type", "aws-x86-boot-mode", "bootfs", "bootfs_metadata_csum_seed",
	"composefs", "compressor", "container-imgref", "deploy-via-container", "extra-kargs", "grub-script",
	"ignition-network-kcmdline", "ostree-container-inject-openshift-cvo-labels", "ostree-format",
	"ostree-remote", "rootfs", "rootfs-args", "size", "squashfs-compression",
	"squashfs-compression-level", "vmware-hw-version", "vmware-os-type", "vmware-secure-boot",
}

// decode types the fields over their defaults.
func decode(fields []document.Field, found *diag.List) *Config {
	d := decoder{fields: fields, found: found}
	c := &Config{
		Size:                   d.size(),
		RootFS:                 d.oneOf("rootfs", "xfs", "xfs", "ext4", "ext4verity", "btrfs"),
		RootFSArgs:             d.text("rootfs-args", ""),
		BootFS:                 d.oneOf("bootfs", "ext4", "ext4", "ext4verity"),
		BootFSMetadataCsumSeed: d.boolean("bootfs_metadata_csum_seed", false),
		Composefs:              d.boolean("composefs", false),
		ExtraKargs:             d.kargs(),
		OSTreeRemote:           d.text("ostree-remote", ""),
		OSTreeFormat:           d.oneOf("ostree-format", "oci-chunked-v1", "oci-chunked-v1"),
		DeployViaContainer:     d.boolean("deploy-via-container", false),
		ContainerImgref:        d.text("container-imgref", ""),
		InjectCVOLabels:        d.boolean("ostree-container-inject-openshift-cvo-labels", false),
		Compressor:             d.oneOf("compressor", CompressorGzip, CompressorGzip, CompressorXz, CompressorZstd),
		SquashfsCompression:    d.oneOf("squashfs-compression", "zstd", "gzip", "lz4", "lzo", "xz", "zstd"),
		GrubScript:             d.text("grub-script", ""),
		VMwareHWVersion:        d.integer("vmware-hw-version", 13),
		VMwareOSType:           d.text("vmware-os-type", "rhel7_64Guest"),
		VMwareSecureBoot:       d.boolean("vmware-secure-boot", true),
	}
	c.SquashfsLevel = d.squashfsLevel(c.SquashfsCompression)
	d.warnOfContainers(c.DeployViaContainer)
	for _, f := range fields {
		d.warn(f)
	}
	return c
}

type decoder struct {
	fields []document.Field
	found  *diag.List
}

// get finds a key that is set; null is as good as absent.
func (d *decoder) get(key string) (document.Node, bool) {
	for _, f := range d.fields {
		if f.Key == key {
			return f.Value, f.Value.Kind != document.Null
		}
	}
	return document.Node{}, false
}

func (d *decoder) text(key, otherwise string) string {
	n, ok := d.get(key)
	if !ok {
		return otherwise
	}
	value, _ := n.AsString(d.found)
	return value
}

func (d *decoder) oneOf(key, otherwise string, values ...string) string {
	value := d.text(key, otherwise)
	if n, ok := d.get(key); ok && n.Kind == document.String && !slices.Contains(values, value) {
		n.Reject(d.found, fmt.Sprintf("%q is not supported", value), "use "+orList(values))
	}
	return value
}

// orList is "a", "a or b", "a, b or c".
func orList(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// boolean takes "true" for true: values that pass through a shell have always
// been written either way.
func (d *decoder) boolean(key string, otherwise bool) bool {
	n, ok := d.get(key)
	if !ok {
		return otherwise
	}
	if n.Kind == document.Bool || n.Kind == document.String && (n.Text == "true" || n.Text == "false") {
		return n.Text == "true"
	}
	n.Reject(d.found, "must be true or false, not "+n.Describe(), "")
	return otherwise
}

func (d *decoder) integer(key string, otherwise int) int {
	n, ok := d.get(key)
	if !ok {
		return otherwise
	}
	value, _ := n.AsInt(d.found)
	return int(value)
}

// maxSize keeps a slip of the finger from becoming a disk of petabytes; GiB.
const maxSize = 1 << 16

func (d *decoder) size() int {
	n, ok := d.get("size")
	if !ok {
		return 0
	}
	if n.Kind != document.Int {
		n.Reject(d.found, "must be a whole number of GiB without a unit, not "+n.Describe(), "write for example 10")
		return 0
	}
	value, ok := n.AsInt(d.found)
	if ok && (value < 1 || value > maxSize) {
		n.Reject(d.found, fmt.Sprintf("must be from 1 to %d GiB, not %d", maxSize, value), "")
	}
	return int(value)
}

// squashfsLevel is the level of the live root's compressor.
func (d *decoder) squashfsLevel(compressor string) int {
	const key = "squashfs-compression-level"
	highest := squashfsLevels[compressor]
	level := 0
	if compressor == "zstd" {
		level = SquashfsZstdLevel
	}
	n, ok := d.get(key)
	if !ok {
		return level
	}
	level = d.integer(key, level)
	switch {
	case n.Kind != document.Int:
	case highest == 0:
		n.Reject(d.found, fmt.Sprintf("squashfs-compression %s has no levels", compressor), "")
	case level < 1 || level > highest:
		n.Reject(d.found, fmt.Sprintf("must be from 1 to %d for %s, not %d", highest, compressor, level), "")
	}
	return level
}

// warnOfContainers says of a key what is not done about it.
func (d *decoder) warnOfContainers(wanted bool) {
	if n, ok := d.get("deploy-via-container"); ok && wanted {
		d.found.Warnf(n.Pos, "%s: has no effect yet: images are deployed from the commit, and are updated from ostree-remote", n.Path)
	}
}

// kargs checks the arguments for what BLS entries cannot hold, and warns of what
// GRUB's script language, in which they end up, takes for itself.
func (d *decoder) kargs() []string {
	n, ok := d.get("extra-kargs")
	if !ok || n.Kind != document.List {
		return nil
	}
	var kargs []string
	for _, item := range n.Items {
		if item.Kind != document.String {
			continue // reported with its file
		}
		switch {
		case strings.ContainsAny(item.Text, "\n\r"):
			item.Reject(d.found, fmt.Sprintf("%q must be one line", item.Text), "")
		case strings.ContainsAny(item.Text, ";&|<>{}'\"\\$"):
			d.found.Warnf(item.Pos, "%s: %q contains a character that GRUB's script language takes for itself", item.Path, item.Text)
		}
		kargs = append(kargs, item.Text)
	}
	return kargs
}

func (d *decoder) warn(f document.Field) {
	if slices.Contains(knownKeys, f.Key) {
		return
	}
	finding := document.Unknown(f, knownKeys)
	finding.Severity = diag.Warning
	d.found.Add(finding)
}

// CheckRemote tells whether a build with this ref can be deployed: a remote
// without a ref would make the broken name "REMOTE:".
func (c *Config) CheckRemote(ref string) error {
	if c.OSTreeRemote != "" && ref == "" {
		return fmt.Errorf("ostree-remote is %q, but the treefile sets no ref", c.OSTreeRemote)
	}
	return nil
}
