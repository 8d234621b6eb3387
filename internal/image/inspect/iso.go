package inspect

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/diskfs/go-diskfs/filesystem/iso9660"
)

const isoBlock = 2048 // bytes

// isoFiles are what every live ISO has, but for the menus.
var isoFiles = []string{
	"/images/pxeboot/vmlinuz", "/images/pxeboot/initrd.img", "/images/pxeboot/rootfs.img",
	"/images/efiboot.img", "/images/ignition.img", "/nestos/igninfo.json", "/nestos/kargs.json", "/nestos/features.json",
}

// iso looks at a live medium.
func (i *inspector) iso() {
	f, ok := i.openISO()
	if !ok {
		return
	}
	for _, name := range isoFiles {
		at, err := f.lstat(name)
		if err != nil {
			i.bad("iso:"+name, "%s", plainError(err))
			continue
		}
		i.img.Files = append(i.img.Files, File{Path: name, Size: at.Size})
		if at.Size == 0 {
			i.bad("iso:"+name, "is empty")
		}
	}
	i.torito()
	i.isoMenus(f)
	i.isoPieces(f)
	i.isoSystem(f)
}

func (i *inspector) openISO() (files, bool) {
	i.img.Volume = strings.TrimRight(string(i.disk.bytes(16*isoBlock+40, 32)), " ")
	var f files
	err := guard(func() error {
		fsys, err := iso9660.Read(storage(i.disk, i.disk.size), i.disk.size, 0, isoBlock)
		if err == nil {
			f = newFiles(i.ctx, diskfsFiles{fsys})
		}
		return err
	})
	if err != nil {
		i.bad("iso", "cannot be read: %v", err)
	}
	if blocks := i.disk.bytes(16*isoBlock+80, 4); blocks != nil {
		if size := int64(binary.LittleEndian.Uint32(blocks)) * isoBlock; size > i.disk.size {
			i.bad("iso", "is cut short: %d bytes of %d", i.disk.size, size)
		}
	}
	return f, err == nil
}

// torito reads the boot catalog: El Torito, version 1.0.
func (i *inspector) torito() {
	const where = "iso:boot catalog"
	record := i.disk.bytes(17*isoBlock, isoBlock)
	if record == nil || !bytes.HasPrefix(record[7:], []byte("EL TORITO SPECIFICATION")) {
		i.bad(where, "there is none: no firmware boots from this medium")
		return
	}
	catalog := i.disk.bytes(int64(binary.LittleEndian.Uint32(record[0x47:]))*isoBlock, isoBlock)
	if catalog == nil || catalog[0] != 1 || catalog[30] != 0x55 || catalog[31] != 0xaa {
		i.bad(where, "is damaged")
		return
	}
	platforms := map[byte]bool{}
	if catalog[32] == 0x88 {
		platforms[catalog[1]] = true
	}
	for at := 64; at+64 <= len(catalog) && (catalog[at] == 0x90 || catalog[at] == 0x91); at += 64 {
		if catalog[at+32] == 0x88 {
			platforms[catalog[at+1]] = true
		}
		if catalog[at] == 0x91 {
			break
		}
	}
	const pc, efi = 0, 0xef
	if !platforms[efi] {
		i.bad(where, "there is no entry for UEFI")
	}
	i.img.BIOSLoader = platforms[pc]
	if i.arch() == "x86_64" && !platforms[pc] {
		i.bad(where, "there is no entry for BIOS")
	}
}

var liveLabel = regexp.MustCompile(`nestos\.liveiso=(\S+)`)

// isoMenus holds the menus against the label by which the live system finds its
// medium.
func (i *inspector) isoMenus(f files) {
	menus := 0
	candidates := []string{"/isolinux/isolinux.cfg"}
	for _, vendor := range f.names("/EFI", "*") {
		candidates = append(candidates, "/EFI/"+vendor+"/grub.cfg")
	}
	for _, name := range candidates {
		text, err := f.text(name)
		if err != nil {
			if name == candidates[0] && i.arch() == "x86_64" {
				i.bad("iso:"+name, "%s", plainError(err))
			}
			continue
		}
		menus++
		found := liveLabel.FindSubmatch(text)
		switch {
		case found == nil:
			i.bad("iso:"+name, "does not say nestos.liveiso=, by which the live system finds the medium")
		case string(found[1]) != i.img.Volume:
			i.bad("iso:"+name, "looks for the medium %s; its label is %s", found[1], i.img.Volume)
		}
	}
	if menus == 0 {
		i.bad("iso", "there is no menu")
	}
}

// isoPieces looks into what the menus boot.
func (i *inspector) isoPieces(f files) {
	head := func(name string, n int64) []byte {
		var b []byte
		_ = f.stream(name, func(_ info, in io.Reader) (err error) {
			b, err = io.ReadAll(io.LimitReader(in, n))
			return err
		})
		return b
	}
	if b := head("/images/pxeboot/vmlinuz", 4096); len(b) > 0 && !isKernel(b) {
		i.bad("iso:/images/pxeboot/vmlinuz", "is no Linux kernel")
	}
	// A newc header of 110 bytes and the name, up to a multiple of 4.
	if b := head("/images/pxeboot/rootfs.img", 128); len(b) > 0 && (len(b) < 128 || string(b[124:]) != "hsqs") {
		i.bad("iso:/images/pxeboot/rootfs.img", "has no squashfs at byte 124, where the live system mounts it")
	}
	b := head("/images/ignition.img", 1<<20)
	if i.img.FirstBoot = bytes.Count(b, []byte{0}) == len(b); !i.img.FirstBoot {
		i.bad("iso:/images/ignition.img", "has an Ignition config in it already")
	}
	for _, name := range []string{"igninfo.json", "kargs.json", "features.json"} {
		if text, err := f.text(path.Join("/nestos", name)); err == nil && !json.Valid(text) {
			i.bad("iso:/nestos/"+name, "is no JSON")
		}
	}
	i.isoKargs(f)
	i.isoEFI(f)
}

// isoKargs holds the places where tools change kernel arguments against the
// menus.
func (i *inspector) isoKargs(f files) {
	text, err := f.text("/nestos/kargs.json")
	if err != nil {
		return
	}
	var areas struct {
		Default string
		Files   []struct {
			Path   string
			Offset int
		}
	}
	if json.Unmarshal(text, &areas) != nil {
		return
	}
	var grub []byte
	for _, area := range areas.Files {
		menu, err := f.text("/" + area.Path)
		if err != nil {
			i.bad("iso:/nestos/kargs.json", "names %s: %s", area.Path, plainError(err))
			continue
		}
		if path.Base(area.Path) == "grub.cfg" {
			grub = menu
		}
		if area.Offset < 0 || area.Offset > len(menu) || !bytes.HasPrefix(menu[area.Offset:], []byte(strings.TrimSpace(areas.Default))) {
			i.bad("iso:/nestos/kargs.json", "says that the kernel arguments stand at byte %d of %s, where they do not", area.Offset, area.Path)
		}
	}
	i.isoEntry(grub, areas.Default)
}

// isoEFI looks into the file system that UEFI boots from.
func (i *inspector) isoEFI(f files) {
	const name = "/images/efiboot.img"
	var image []byte
	err := f.stream(name, func(at info, in io.Reader) (err error) {
		if at.Size > 256<<20 {
			return errors.New("is far too large")
		}
		image, err = io.ReadAll(in)
		return err
	})
	if err != nil {
		return // told by iso
	}
	fsys, r, err := probe(io.NewSectionReader(bytes.NewReader(image), 0, int64(len(image))))
	if err != nil || r == nil || fsys.Type != "vfat" {
		i.bad("iso:"+name, "is no FAT file system")
		return
	}
	i.efi(newFiles(i.ctx, r), "iso:"+name)
}
