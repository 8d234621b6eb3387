package machine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nestos/nosa-actions/internal/tool"
)

// Disk is a disk and how it is attached. An additional one is empty.
type Disk struct {
	GiB       int
	File      string // qcow2 that is written to and kept; default: one that goes with the guest
	Serial    string // default: diskN, N counting from 1
	Sector4K  bool   // logical and physical sectors of 4096 bytes
	NVMe      bool   // instead of virtio-blk
	Multipath bool   // two SCSI paths to the same disk

	// NBD lets a server of its own hold the disk, which qemu reads by a socket, and
	// DriveOptions go to qemu's -drive as they are; of the primary disk.
	NBD          bool
	DriveOptions string
}

// ParseDisk reads SIZE[:OPTION,...], SIZE in GiB as "5G", the options mpath,
// 4k, channel=virtio, channel=nvme and serial=X.
func ParseDisk(spec string) (Disk, error) {
	size, options, _ := strings.Cut(spec, ":")
	gib, err := strconv.Atoi(strings.TrimSuffix(size, "G"))
	if err != nil || gib < 1 || !strings.HasSuffix(size, "G") {
		return Disk{}, fmt.Errorf("disk %q: size must be in G, for example 5G", spec)
	}
	d := Disk{GiB: gib}
	for option := range strings.SplitSeq(options, ",") {
		serial, isSerial := strings.CutPrefix(option, "serial=")
		switch {
		case option == "" && options == "", option == "channel=virtio":
		case option == "mpath":
			d.Multipath = true
		case option == "4k":
			d.Sector4K = true
		case option == "channel=nvme":
			d.NVMe = true
		case isSerial && serial != "" && !strings.ContainsAny(serial, ", "):
			d.Serial = serial
		default:
			return Disk{}, fmt.Errorf("disk %q: unknown option %q; known are mpath, 4k, channel=nvme, serial=X", spec, option)
		}
	}
	if d.Multipath && d.NVMe {
		return Disk{}, fmt.Errorf("disk %q: mpath and channel=nvme exclude each other", spec)
	}
	return d, nil
}

// attach returns qemu's options for the disk in the qcow2 file at path, or of NBD
// behind the socket there. One that the machine starts from has a boot index; others
// have 0.
func (d Disk) attach(id, path string, boot int) []string {
	drive := fmt.Sprintf("if=none,id=%s,format=qcow2,cache=unsafe,discard=unmap,file=%s", id, escapeOption(path))
	node := "driver=qcow2,node-name=" + id + ",discard=unmap,cache.no-flush=on,file.driver=file,file.filename=" + escapeOption(path)
	if d.NBD {
		drive = fmt.Sprintf("if=none,id=%s,format=raw,cache=unsafe,discard=unmap,file=nbd:unix:%s", id, escapeOption(path))
		node = "driver=nbd,node-name=" + id + ",discard=unmap,cache.no-flush=on,server.type=unix,server.path=" + escapeOption(path)
	}
	if d.DriveOptions != "" {
		drive += "," + d.DriveOptions
	}
	more := d.Serial
	if more == "" {
		more = id
	}
	if d.Sector4K {
		more += ",logical_block_size=4096,physical_block_size=4096"
	}
	index := ""
	if boot > 0 {
		index = fmt.Sprintf(",bootindex=%d", boot)
	}
	switch {
	case d.Multipath:
		// One node with two devices: two nodes would each keep tables of their own.
		args := []string{
			"-blockdev", node,
			"-device", "virtio-scsi-pci,id=scsi-" + id,
		}
		for _, index := range []string{index, ""} {
			args = append(args, "-device", fmt.Sprintf("scsi-hd,bus=scsi-%s.0,drive=%s,share-rw=on,serial=%s%s", id, id, more, index))
		}
		return args
	case d.NVMe:
		return []string{"-drive", drive, "-device", "nvme,drive=" + id + ",serial=" + more + index}
	default:
		return []string{"-drive", drive, "-device", "virtio-blk-pci,drive=" + id + ",serial=" + more + index}
	}
}

// CreateDisk makes an empty qcow2 disk.
func CreateDisk(ctx context.Context, r tool.Runner, path string, gib int) error {
	_, err := r.Run(ctx, tool.Cmd{Name: "qemu-img", Args: []string{"create", "-q", "-f", "qcow2", path, fmt.Sprintf("%dG", gib)}})
	return err
}

// overlay makes a throwaway qcow2 over an image, so that the image is never
// changed; it grows the disk to gib GiB if that is more than the image has.
func overlay(ctx context.Context, r tool.Runner, image, path string, gib int) error {
	format, virtual, err := inspect(image)
	if err != nil {
		return err
	}
	image, err = filepath.Abs(image)
	if err != nil {
		return err
	}
	args := []string{"create", "-q", "-f", "qcow2", "-F", format, "-b", image, path}
	if want := int64(gib) << 30; want > virtual {
		args = append(args, strconv.FormatInt(want, 10))
	}
	if _, err := r.Run(ctx, tool.Cmd{Name: "qemu-img", Args: args}); err != nil {
		return fmt.Errorf("overlay for %s: %w", image, err)
	}
	return nil
}

// inspect tells qcow2 from raw and the size of the disk in bytes. The size of a
// qcow2 image stands big endian in bytes 24 to 31 of its header (docs/interop/
// qcow2.txt of QEMU). qemu's own guess is not asked, because it may take what a
// guest wrote into the first sector of a raw image for a format.
func inspect(image string) (format string, size int64, err error) {
	f, err := os.Open(image)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", 0, err
	}
	if !info.Mode().IsRegular() {
		return "", 0, fmt.Errorf("%s is not a file", image)
	}
	var head [32]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return "", 0, fmt.Errorf("%s: not a disk image: too short", image)
	}
	for name, magic := range map[string]string{"gzip": "\x1f\x8b", "xz": "\xfd7zXZ\x00", "zstd": "\x28\xb5\x2f\xfd"} {
		if bytes.HasPrefix(head[:], []byte(magic)) {
			return "", 0, fmt.Errorf("%s is compressed with %s; decompress it first", image, name)
		}
	}
	if !bytes.HasPrefix(head[:], []byte("QFI\xfb")) {
		return "raw", info.Size(), nil
	}
	for _, b := range head[24:] {
		size = size<<8 | int64(b)
	}
	return "qcow2", size, nil
}

// escapeOption doubles commas, as qemu's option syntax asks for.
func escapeOption(value string) string { return strings.ReplaceAll(value, ",", ",,") }
