package inspect

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"debug/pe"

	"github.com/nestos/nosa-actions/internal/image"
)

// machines are what a PE header calls an architecture.
var machines = map[string]struct {
	loader  string
	machine uint16
}{
	"x86_64":  {"BOOTX64.EFI", pe.IMAGE_FILE_MACHINE_AMD64},
	"aarch64": {"BOOTAA64.EFI", pe.IMAGE_FILE_MACHINE_ARM64},
}

// esp looks whether UEFI would get to GRUB, and GRUB to its configuration.
func (i *inspector) esp(boot *files) {
	part := i.parts[image.ESPPartition]
	if part == nil || part.files == nil {
		return
	}
	i.efi(*part.files, "EFI-SYSTEM")
	if boot != nil {
		i.bootupd(*boot, *part.files)
	}
}

// efi looks at the loaders of a file system that UEFI boots from.
func (i *inspector) efi(f files, where string) {
	tops, err := f.entries("/EFI")
	if err != nil {
		i.bad(where+":/EFI", "%v", plainError(err))
		return
	}
	stub := false
	for _, top := range tops {
		list, err := f.entries("/EFI/" + top.Name)
		if err != nil {
			i.bad(where+":/EFI/"+top.Name, "%v", plainError(err))
			continue
		}
		for _, file := range list {
			at := "/EFI/" + top.Name + "/" + file.Name
			switch {
			case strings.EqualFold(path.Ext(file.Name), ".efi"):
				i.img.EFILoaders = append(i.img.EFILoaders, at)
				i.loader(f, where, at)
			case file.Name == "grub.cfg":
				stub = true
				i.stub(f, where, at)
			}
		}
	}
	want, known := machines[i.arch()]
	if known && !slices.ContainsFunc(i.img.EFILoaders, func(at string) bool { return strings.EqualFold(at, "/EFI/BOOT/"+want.loader) }) {
		i.bad(where, "the loader /EFI/BOOT/%s is missing", want.loader)
	}
	if !stub {
		i.bad(where, "there is no grub.cfg beside a loader")
	}
}

// loader holds a program against its own header.
func (i *inspector) loader(f files, where, at string) {
	text, err := f.text(at)
	if err != nil {
		i.bad(where+":"+at, "%v", plainError(err))
		return
	}
	head, err := pe.NewFile(bytes.NewReader(text))
	if err != nil {
		i.bad(where+":"+at, "is no EFI program")
		return
	}
	if want, known := machines[i.arch()]; known && head.Machine != want.machine {
		i.bad(where+":"+at, "is a program for another architecture (machine %#x)", head.Machine)
	}
	for _, s := range head.Sections {
		if end := int64(s.Offset) + int64(s.Size); end > int64(len(text)) {
			i.bad(where+":"+at, "is cut short: %d bytes of %d", len(text), end)
			return
		}
	}
}

// stub looks at the script that leads from the loader to the boot file system.
func (i *inspector) stub(f files, where, at string) {
	text, err := f.text(at)
	switch {
	case err != nil:
		i.bad(where+":"+at, "%v", plainError(err))
	case !bytes.Contains(text, []byte("configfile")) && !bytes.Contains(text, []byte("normal")):
		i.bad(where+":"+at, "does not go on to the configuration on the boot file system")
	case !bytes.Contains(text, []byte("search")):
		i.bad(where+":"+at, "does not search for the boot file system")
	case where == "EFI-SYSTEM" && !bytes.Contains(text, []byte("--label boot")):
		i.bad(where+":"+at, "does not search for the boot file system by its label boot")
	}
}

// bootupd holds the files against what bootupd believes that it installed.
func (i *inspector) bootupd(boot, esp files) {
	const where = "boot:/bootupd-state.json"
	text, err := boot.text("/bootupd-state.json")
	if err != nil {
		return // a tree without bootupd
	}
	var state struct {
		Installed map[string]struct {
			Filetree struct {
				Children map[string]struct {
					Size   int64  `json:"size"`
					SHA512 string `json:"sha512"`
				} `json:"children"`
			} `json:"filetree"`
		} `json:"installed"`
	}
	if err := json.Unmarshal(text, &state); err != nil {
		i.bad(where, "is not what bootupd writes: %v", err)
		return
	}
	children := state.Installed["EFI"].Filetree.Children
	for _, name := range slices.Sorted(maps.Keys(children)) {
		sum := sha512.New()
		err := esp.stream("/EFI/"+name, func(_ info, in io.Reader) error {
			_, err := io.Copy(sum, io.LimitReader(in, maxText))
			return err
		})
		if err != nil {
			i.bad("EFI-SYSTEM:/EFI/"+name, "is missing, though bootupd-state.json has it")
			continue
		}
		if got := "sha512:" + hex.EncodeToString(sum.Sum(nil)); got != children[name].SHA512 {
			i.bad("EFI-SYSTEM:/EFI/"+name, "differs from what bootupd-state.json says")
		}
	}
}

// plainError leaves out the path, which stands before a finding already.
func plainError(err error) string {
	text := err.Error()
	if strings.Contains(text, "file does not exist") {
		return "is missing"
	}
	if _, after, found := strings.Cut(text, ": "); found && strings.HasPrefix(text, "read ") {
		return after
	}
	return fmt.Sprint(text)
}
