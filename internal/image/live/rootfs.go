package live

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/nestos/nosa-actions/internal/image"
)

// squashfsOffset is where the squashfs begins in rootfs.img, so that the kernel
// can mount it from there: after one header of the newc format and the name.
const squashfsOffset = 124

// writeRootfs makes rootfs.img: one cpio archive, which the kernel unpacks if it
// is given as an initrd, with the squashfs of the root as its first member. It
// returns the hash of its content as streamHash has it.
func writeRootfs(path, squashfs, buildID string, payloads []packed) (string, error) {
	out, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer out.Close()
	hash := newStreamHash()
	buffered := bufio.NewWriterSize(io.MultiWriter(out, hash), 1<<20)
	archive := newArchive(buffered)
	if err := archive.addFile("root.squashfs", squashfs); err != nil {
		return "", err
	}
	if err := archive.file("etc/nestos-live-rootfs", buildID+"\n"); err != nil {
		return "", err
	}
	for _, p := range payloads {
		if err := archive.addPayload(p); err != nil {
			return "", err
		}
	}
	if err := errors.Join(archive.Close(), buffered.Flush()); err != nil {
		return "", err
	}
	magic := make([]byte, 4)
	if _, err := out.ReadAt(magic, squashfsOffset); err != nil {
		return "", err
	}
	if string(magic) != "hsqs" {
		return "", fmt.Errorf("the squashfs does not begin at byte %d", squashfsOffset)
	}
	return hash.list(), out.Close()
}

// addPayload adds what the installer reads of a payload: KIND.info, and KIND.raw.zst
// with the image, or KIND.list.zst with the list of its pieces, KIND.parts with the
// objects that are in it in parts and KIND.blocks.zst with blocks of no object.
func (a *archive) addPayload(p packed) error {
	name := payloadDir + "/" + string(p.Kind)
	if err := a.file(name+".info", p.info()); err != nil {
		return err
	}
	if p.list == "" {
		return a.take(name+".raw.zst", p.file)
	}
	if err := a.file(name+".parts", p.parts); err != nil {
		return err
	}
	if err := a.take(name+".list.zst", p.list); err != nil {
		return err
	}
	return a.take(name+".blocks.zst", p.file)
}

// take adds a file and removes it.
func (a *archive) take(name, path string) error {
	if err := a.addFile(name, path); err != nil {
		return err
	}
	return os.Remove(path)
}

// addFile adds what a file holds. A member of an initrd has at most 4 GiB.
func (a *archive) addFile(name, path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if info.Size() >= 1<<32 {
		return fmt.Errorf("%s of %d MiB is larger than the 4 GiB that a member of an initrd can have: %w", name, info.Size()>>20, image.ErrNoSpace)
	}
	return a.add(name, info.Size(), in)
}
